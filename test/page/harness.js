//  harness - a server with a store of its own, programs that measure, and a browser
//
//  Starts the real executables, and ends them; waits for what can be observed, never
//  for a time. A page that asks a foreign host, breaks its own policy, or logs an
//  error fails its test, whatever that looks at.
//
//  SPDX-License-Identifier: BSD-3-Clause

import {spawn} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {join} from "node:path";
import assert from "node:assert/strict";

const WAIT_MS = 60000, POLL_MS = 20;
const {chromium} = createRequire (join (process.env.ZB_PAGE_JUDGE, "x")) ("playwright-core");

//  Where a proxy may listen, an address of our own; the browser knows its name.
export const PROXY_NAME = "stats.example.org";
const PROXY_HOST = `127.${1 + (process.pid >> 8) % 254}.${process.pid % 256}.1`;
export const PROXY = `${PROXY_HOST}:8443`;

const BROWSER = {
    executablePath: "/usr/bin/chromium", headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update",
           "--disable-sync", `--host-resolver-rules=MAP ${PROXY_NAME} ${PROXY_HOST}`]
};

//  Until the function returns something that is true; returns that.
export async function until (what, probe) {
    const end = Date.now () + WAIT_MS;
    for (;;) {
        const found = await probe ();
        if (found)
            return found;
        assert.ok (Date.now () < end, `still waiting for: ${what}`);
        await new Promise ((done) => { setTimeout (done, POLL_MS); });
    }
}

export const now = () => Math.floor (Date.now () / 1000);

//  A child, and what it has logged so far.
class Child {
    constructor (argv, env = {}) {
        this.text = "";
        this.ended = false;
        this.process = spawn (argv[0], argv.slice (1), {env: {...process.env, ...env}});
        for (const stream of [this.process.stdout, this.process.stderr])
            stream.on ("data", (data) => { this.text += data; });
        this.end = new Promise ((done) => {
            this.process.on ("close", (code) => {
                this.ended = true;
                done (code);
            });
        });
        this.process.stdin.on ("error", () => {});
    }

    //  Waits for a line, and returns what the expression captured.
    async said (expression) {
        const found = await until (`${expression} of ${this.process.spawnfile}: ${this.text}`,
                                   () => this.text.match (expression) ?? this.ended);
        assert.notEqual (found, true, `it ended: ${this.text}`);
        return found[1];
    }

    async stop (signal = "SIGTERM") {
        this.process.kill (signal);
        return this.end;
    }
}

//  A store behind `zibrato serve`, and a broker that programs measure by.
export class Site {
    constructor () {
        this.folder = mkdtempSync (join (tmpdir (), "zb-page-"));
        this.children = [];
        this.listen = "127.0.0.1:0";
    }

    start (argv, env) {
        const child = new Child (argv, env);
        this.children.push (child);
        return child;
    }

    //  So many metrics of a day, packed (fill.c), before the server is started.
    async fill (metrics) {
        const child = this.start ([join (process.env.ZB_PROGRAMS, "fill"), this.folder,
                                   String (metrics)]);
        assert.equal (await child.end, 0, child.text);
    }

    async open () {
        const broker = this.start ([process.env.ZB_BIN, "broker", "--port", "0"]);
        this.port = Number (await broker.said (/event=ready .*publishers=tcp:\S+:(\d+)/));
        await this.serve ();
        this.token = readFileSync (join (this.folder, "admin-token"), "utf8").trim ();
    }

    //  Starts the server, the second time at the same address.
    async serve (...more) {
        this.server = this.start ([process.env.ZB_BIN, "serve", "--listen", this.listen,
                                   "--data", this.folder, "--port",
                                   String (this.port + 1), ...more]);
        this.url = await this.server.said (/event=listening url=(\S+)/);
        this.listen = this.url.replace ("http://", "");
        await this.server.said (/(event=ready)/);
    }

    //  A token of another role.
    async newToken (role) {
        const child = this.start ([process.env.ZB_BIN, "serve", "--data", this.folder,
                                   "--token-new", role, "--role", role]);
        return child.said (/^([0-9a-f]{64})$/m);
    }

    headers (token = this.token) {
        return {"Authorization": `Bearer ${token}`, "Content-Type": "application/json"};
    }

    async post (path, body) {
        const answer = await fetch (this.url + path, {method: "POST",
            headers: this.headers (), body: JSON.stringify (body)});
        assert.ok (answer.status < 300, `${answer.status} ${await answer.text ()}`);
    }

    //  Readings, as clients of Librato post them.
    async gauges (gauges) {
        for (let i = 0; i < gauges.length; i += 3000)
            await this.post ("/v1/metrics", {gauges: gauges.slice (i, i + 3000)});
    }

    async get (path) {
        const answer = await fetch (this.url + path, {headers: this.headers ()});
        assert.equal (answer.status, 200, path);
        return answer.json ();
    }

    //  Until a program's first measurement of it is stored.
    stored (name) {
        return until (name, async () => (await this.get (
            `/api/metrics?search=${encodeURIComponent (name)}`)).found > 0);
    }

    //  A program that measures what each line says (test/programs/measure.c).
    program (source) {
        return this.start ([join (process.env.ZB_PROGRAMS, "measure")],
                           {ZIBRATO_PORT: String (this.port), ZIBRATO_SOURCE: source});
    }

    //  Until the broker knows the server: what a program reports before passes it by.
    async heard () {
        const child = this.program ("first");
        await until ("the first measurement", async () => {
            child.process.stdin.write ("gauge\tinfo\tzibrato.heard\t1\n");
            return (await this.get ("/api/metrics?search=zibrato.heard")).found > 0;
        });
        child.process.stdin.end ();
        await child.end;
    }

    //  The server ends by itself; a sanitizer has nothing to say.
    async end () {
        assert.equal (await this.server.stop (), 0, this.server.text);
    }

    async close () {
        for (const child of this.children.reverse ())
            if (!child.ended)
                await child.stop ("SIGKILL");
        rmSync (this.folder, {recursive: true});
    }
}

//  A browser window that knows who we are, and is watched.
export class Watched {
    constructor (site) {
        this.site = site;
        this.wrong = [];
    }

    async open (browser, options = {}) {
        this.context = await browser.newContext ({viewport: {width: 1400, height: 900},
                                                  acceptDownloads: true,
                                                  ignoreHTTPSErrors: true, ...options});
        this.home = this.site.url;
        this.page = await this.context.newPage ();
        this.page.setDefaultTimeout (WAIT_MS);
        this.page.on ("request", (request) => this.look (request.url ()));
        this.page.on ("pageerror", (error) => this.wrong.push (error.stack));
        this.page.on ("console", (message) => {
            if (["error", "warning"].includes (message.type ()))
                this.wrong.push (`${message.text ()} (${message.location ().url})`);
        });
        return this.page;
    }

    //  From now on, it is the only address that may be asked.
    isAt (home) {
        this.home = home;
    }

    look (url) {
        if (!url.startsWith (`${this.home}/`) && !url.startsWith ("blob:"))
            this.wrong.push (`asked a foreign host: ${url}`);
    }

    //  Opens the page, and says who we are.
    async enter (query = "", token = this.site.token) {
        await until ("a session", async () => (await this.context.request.post (
            `${this.site.url}/login`,
            {data: {token}, headers: {Origin: this.site.url}})).ok ());
        await this.page.goto (`${this.site.url}/${query}`);
        await this.page.waitForSelector ("#status .part");
    }

    //  What was wrong and has to be, as when nobody knows us, is let pass.
    pardon (expression) {
        this.wrong = this.wrong.filter ((text) => !expression.test (text));
    }

    async close () {
        await this.context.close ();
        assert.deepEqual (this.wrong, []);
    }
}

export const launch = () => chromium.launch (BROWSER);
