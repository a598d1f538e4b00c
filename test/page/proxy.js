//  proxy - a browser that comes through nginx, which ends TLS
//
//  nginx has the lines of the handbook, with our ports in them.
//
//  SPDX-License-Identifier: BSD-3-Clause

import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {readFileSync, writeFileSync} from "node:fs";
import {connect} from "node:net";
import {join} from "node:path";
import {now, PROXY, PROXY_NAME, until} from "./harness.js";

const PREFIX = "/some/stats";

const handbook = () => readFileSync (
    join (process.env.ZB_SOURCE, "contrib/docs/server.md"), "utf8")
    .match (/^```nginx\n([^]*?)^```/m)[1];

//  One location as the handbook has it, and one below a path, which is cut off.
function lines (listen) {
    const server = handbook ().replace ("listen 443", `listen ${PROXY}`)
        .replaceAll ("127.0.0.1:5580", listen);
    const [, location] = server.match (/location \/ (\{[^]*?\})/);
    return server.replace ("    location", `    location ${PREFIX}/ ${
        location.replace (listen, `${listen}/`)}\n    location`);
}

//  One process, so that nobody is left when it is killed.
const config = (listen) => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
${lines (listen)}
}`;

const isThere = () => new Promise ((done) => {
    const [host, port] = PROXY.split (":");
    const socket = connect (Number (port), host, () => {
        socket.end ();
        done (true);
    });
    socket.on ("error", () => done (false));
});

async function startProxy (site) {
    execFileSync ("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                              "-subj", `/CN=${PROXY_NAME}`, "-keyout", "privkey.pem",
                              "-out", "fullchain.pem"], {cwd: site.folder, stdio: "ignore"});
    const path = join (site.folder, "nginx.conf");
    writeFileSync (path, config (site.listen));
    const nginx = site.start (["/usr/sbin/nginx", "-p", site.folder, "-c", path,
                               "-e", "stderr"]);
    await until (`nginx: ${nginx.text}`, () => {
        assert.ok (!nginx.ended, nginx.text);
        return isThere ();
    });
}

async function logIn (page, address, token) {
    await page.goto (`${address}/?m=depth&o=&range=300`);
    await page.waitForSelector ("#login[open]");
    await page.fill ("#login input", token);
    await page.keyboard.press ("Enter");
}

//  What the page shows and says is of the address by which it came.
async function use (site, watched, address) {
    const {page} = watched, {hostname, pathname} = new URL (`${address}/`);
    await page.waitForSelector (".legend tbody tr");
    await page.waitForSelector (".metric .name:has-text('depth')");
    const cookies = (await watched.context.cookies ()).filter (({path}) => path === pathname);
    assert.deepEqual (cookies.map (({domain, secure, httpOnly, sameSite}) =>
        [domain, secure, httpOnly, sameSite]), [[hostname, true, true, "Strict"]]);
    assert.equal (await page.evaluate (() => fetch ("v1/metrics", {
        method: "POST", headers: {"Content-Type": "application/json"},
        body: '{"gauges":[{"name":"depth","value":5,"source":"page"}]}'})
        .then (({status}) => status)), 200);
    await page.click (".menu summary");
    await page.click (".menu >> text=curl");
    assert.ok ((await page.textContent ("#command pre"))
        .includes (`'${address}/api/points?name=depth&`));
}

export async function behind_a_proxy (site, watched) {
    const {page} = watched, home = `https://${PROXY_NAME}:${PROXY.split (":")[1]}`;
    watched.isAt (home);
    await site.gauges ([{name: "depth", source: "web", value: 17, measure_time: now ()}]);
    await startProxy (site);
    assert.match (await (await page.goto (home)).text (), /not known here.*--public-url/);
    for (const address of [home, home + PREFIX]) {
        await site.server.stop ();
        await site.serve ("--public-url", address);
        await logIn (page, address, site.token);
        await use (site, watched, address);
        //  A session of its own, by the link.
        await watched.context.clearCookies ();
        await page.goto (readFileSync (join (site.folder, "link"), "utf8").trim ());
        await page.waitForSelector (".metric");
        assert.equal (page.url (), `${address}/`);
        await watched.context.clearCookies ();
        watched.pardon (/401|50[24]/);
    }
    //  The server itself is reached as before.
    await page.goto ("about:blank");
    watched.isAt (site.url);
    await watched.enter ();
    await page.waitForSelector (".metric");
    watched.pardon (/421|favicon/);
}
