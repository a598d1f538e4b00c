//  api - what the page asks the server
//
//  SPDX-License-Identifier: BSD-3-Clause

import {token} from "./state.js";

//  Set by app.js: `online` is called with true or false when the server begins or ceases
//  to answer, `login` when it wants to know who we are.
export const events = {online () {}, login () {}};

let isOnline = true;

function setOnline (value) {
    if (value !== isOnline)
        events.online (value);
    isOnline = value;
}

//  The server's answer when it refuses: its status, and as the message the reason.
class Refused extends Error {
    constructor (status, text) {
        super (text);
        this.status = status;
    }
}

//  A path with its query; parameters that are null or "" are left out. Paths are
//  relative, since a proxy may serve the page below a path of its own.
export function address (path, parameters = {}) {
    const query = new URLSearchParams ();
    for (const [name, value] of Object.entries (parameters))
        if (value !== null && value !== undefined && value !== "")
            query.append (name, value);
    const text = query.toString ();
    return text ? `${path}?${text}` : path;
}

//  Errors have the shape that Librato's clients read: {"errors": {"request": [reason]}}
//  or {"errors": {"params": {name: [reason]}}}.
function reason (text, status) {
    try {
        const {errors} = JSON.parse (text);
        return Object.values (errors.request ?? errors.params).flat ().join ("; ");
    } catch {
        return `the server says ${status}`;
    }
}

//  With X-Zibrato a 401 has no WWW-Authenticate: the browser would show its own dialog.
const HEADERS = token ? {"X-Zibrato": "1", "Authorization": `Bearer ${token}`}
    : {"X-Zibrato": "1"};

async function ask (path, options) {
    let answer;
    try {
        answer = await fetch (path, {credentials: "same-origin", ...options,
                                     headers: {...options.headers, ...HEADERS}});
    } catch (error) {
        setOnline (false);
        throw error;
    }
    setOnline (true);
    if (answer.status === 401)
        events.login ();
    if (!answer.ok)
        throw new Refused (answer.status, reason (await answer.text (), answer.status));
    return answer;
}

export async function get (path, parameters) {
    const answer = await ask (address (path, parameters), {});
    return answer.json ();
}

export async function post (path, body) {
    await ask (path, {method: "POST", headers: {"Content-Type": "application/json"},
                      body: JSON.stringify (body)});
}

//  Seconds since 1970 by the server's clock, which may differ from the browser's.
let ahead = 0;
export const now = () => Date.now () / 1000 + ahead;
export function setClock (seconds) {
    ahead = seconds - Date.now () / 1000;
}
