#!/bin/bash
# Shows that node (libuv: a pool of threads, statx by syscall(2), io_uring where it can be had) does to a merged tree by promises, callbacks
# and synchronous calls what it does to a plain one.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
begin "$@"
need node
unset "${!NODE_@}" "${!npm_@}" "${!UV_@}"

mkdir -p tree/data/{a/b/c,d}
for i in {1..30}; do echo "content $i" >"tree/data/a/file$i"; done
ln -s ../a/file1 tree/data/d/link
cat >tree/work.mjs <<'X'
import fs from 'node:fs';
import {promises as fsp} from 'node:fs';
import path from 'node:path';
import {execFileSync, spawn, fork} from 'node:child_process';
import {createHash} from 'node:crypto';
import net from 'node:net';
import {pipeline} from 'node:stream/promises';
import {createGzip, gunzipSync} from 'node:zlib';

async function list(directory) {
  for (const entry of (await fsp.readdir(directory, {withFileTypes: true})).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const file = path.join(directory, entry.name);
    const st = await fsp.lstat(file, {bigint: true});
    console.log(file, entry.isDirectory(), entry.isSymbolicLink(), entry.isFile() ? `${st.size} ${st.nlink} ${(st.mode & 0o777n).toString(8)} ` +
        createHash('md5').update(await fsp.readFile(file)).digest('hex') : '');
    if (entry.isDirectory()) await list(file);
  }
}
const errno = promise => promise.then(() => 'ok', error => `${error.code} ${error.syscall} ${error.path}`);

console.log(process.cwd(), path.basename(process.execPath));
await list('data');
await Promise.all(Array.from({length: 60}, async (_, i) => {
  await fsp.writeFile(`data/d/${i}.new`, `made ${i}`);
  await fsp.rename(`data/d/${i}.new`, `data/d/${i}`);
}));
await fsp.cp('data/a', 'data/copied', {recursive: true});
await fsp.copyFile('data/a/file1', 'data/clone', fs.constants.COPYFILE_FICLONE);
await fsp.rename('data/a/b', 'data/moved');
await fsp.appendFile('data/a/file2', 'appended');
await fsp.truncate('data/a/file3', 2);
await fsp.chmod('data/a/file4', 0o640);
await fsp.utimes('data/a/file5', 1000, 2000.5);
await fsp.link('data/a/file6', 'data/hard');
await fsp.symlink('a/file7', 'data/soft');
console.log((await fsp.stat('data/a/file5')).mtimeMs, await fsp.readlink('data/soft'), path.basename(await fsp.realpath('data/soft')));
await fsp.rm('data/d', {recursive: true});
console.log(await errno(fsp.access('data/d')), await errno(fsp.mkdir('data/a')), await errno(fsp.rmdir('data/a')), await errno(fsp.open('data/a/none')));
await fsp.mkdir('data/x/y/z', {recursive: true});
const made = await fsp.mkdtemp('data/x/made');
await fsp.rmdir(made);
const handle = await fsp.open('data/a/file8', 'r+');
await handle.write('CONTENT', 0);
await handle.sync();
console.log((await handle.readFile({encoding: 'utf8'})), (await handle.stat()).size);
await handle.close();
let count = 0;
for await (const entry of await fsp.opendir('data/copied')) count += entry.name.length;
console.log(count);
await pipeline(fs.createReadStream('data/a/file9'), createGzip(), fs.createWriteStream('data/file9.gz'));
console.log(gunzipSync(fs.readFileSync('data/file9.gz')).toString());
fs.unlinkSync('data/file9.gz');

const seen = new Promise(resolve => {
  const watcher = fs.watch('data/x', (type, name) => { watcher.close(); resolve(name); });
});
fs.writeFileSync('data/x/watched', '');
console.log('watched', await seen);

process.chdir('data/x');
console.log(process.cwd(), fs.readdirSync('.'));
process.chdir('../..');
console.log(execFileSync('sh', ['-c', 'pwd; ls | wc -l'], {cwd: 'data/copied'}).toString());
fs.writeFileSync('data/script', '#!/usr/bin/env node\nconsole.log(process.argv.slice(2), process.cwd())\n', {mode: 0o755});
console.log(execFileSync('./data/script', ['x']).toString());
fs.writeFileSync('data/child.cjs', 'process.on("message", m => { process.send([m, __filename]); process.disconnect(); })');
const child = fork('data/child.cjs');
child.send('ping');
console.log(await new Promise(resolve => child.on('message', ([m, file]) => resolve(`${m} ${path.basename(file)}`))));
const server = net.createServer(socket => socket.end('from the socket')).listen('data/socket');
console.log(await new Promise(resolve => net.connect('data/socket').setEncoding('utf8').on('data', resolve)));
server.close();
await list('data');
X

same node <<'END'
set -e
node work.mjs
echo 'module.exports = require("./other.cjs") + 1' >one.cjs; echo 'module.exports = 41' >other.cjs
node -e 'console.log(require("./one.cjs"), require.resolve("./other.cjs").split("/").pop())'
END
succeeded node
