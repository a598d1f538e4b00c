//  login - who we are, asked for when the server does not know
//
//  SPDX-License-Identifier: BSD-3-Clause

import {post} from "./api.js";
import {find} from "./dom.js";

const dialog = find ("#login"), form = dialog.querySelector ("form");
const field = form.querySelector ("input"), error = form.querySelector (".error");

//  The address that the server prints works once. Whoever uses it again comes with #used.
const USED = "This address was used, or is an old one. The file link in the server's folder "
    + "has a new one, admin-token a token.";

export const isAsking = () => dialog.open;

export function askLogin () {
    if (dialog.open)
        return;
    error.textContent = location.hash === "#used" ? USED : "";
    field.value = "";
    dialog.showModal ();
}

//  `done` is called when the server knows us.
export function startLogin (done) {
    dialog.addEventListener ("cancel", (event) => event.preventDefault ());
    form.addEventListener ("submit", async (event) => {
        event.preventDefault ();
        try {
            await post ("login", {token: field.value.trim ()});
            dialog.close ();
            done ();
        } catch (failure) {
            error.textContent = failure.status === 401 ? "This token is not known here."
                : failure.status ? failure.message : "The server does not answer.";
        }
    });
}
