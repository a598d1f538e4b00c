//  api - what the page asks the server
//
//  SPDX-License-Identifier: BSD-3-Clause

import {token} from "./state.js";

//  Set by whoever shows it: called with true when the server answers again, and with
//  false when it does not; `login` when it wants to know who we are.
export const events = {online () {}, login () {}};

let online = true;

function say (now) {
    if (now !== online)
        events.online (now);
    online = now;
}

export class Refused extends Error {
    constructor (status, text) {
        super (text);
        this.status = status;
    }
}

//  The address of what is asked: parameters that are null are left out. Paths begin
//  without a '/', since a proxy may have put one of its own in front.
export function address (path, parameters = {}) {
    const query = new URLSearchParams ();
    for (const [name, value] of Object.entries (parameters))
        if (value !== null && value !== undefined && value !== "")
            query.append (name, value);
    const text = query.toString ();
    return text ? `${path}?${text}` : path;
}

//  The reason in an error as Librato's clients read it.
function reason (text, status) {
    try {
        const {errors} = JSON.parse (text);
        return Object.values (errors.request ?? errors.params).flat ().join ("; ");
    } catch {
        return `the server says ${status}`;
    }
}

//  The server knows the page by the first of them, and lets the browser not ask.
const HEADERS = token ? {"X-Zibrato": "1", "Authorization": `Bearer ${token}`}
    : {"X-Zibrato": "1"};

async function ask (path, options) {
    let answer;
    try {
        answer = await fetch (path, {credentials: "same-origin", ...options,
                                     headers: {...options.headers, ...HEADERS}});
    } catch (error) {
        if (error.name !== "AbortError")
            say (false);
        throw error;
    }
    say (true);
    if (answer.status === 401)
        events.login ();
    if (!answer.ok)
        throw new Refused (answer.status, reason (await answer.text (), answer.status));
    return answer;
}

export async function get (path, parameters, signal) {
    const answer = await ask (address (path, parameters), {signal});
    return answer.json ();
}

export async function post (path, body) {
    await ask (path, {method: "POST", headers: {"Content-Type": "application/json"},
                      body: JSON.stringify (body)});
}

//  Seconds since 1970 by the server's clock, which may differ from ours.
let ahead = 0;
export const now = () => Date.now () / 1000 + ahead;
export function clockIs (seconds) {
    ahead = seconds - Date.now () / 1000;
}
