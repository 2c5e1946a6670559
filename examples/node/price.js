#!/usr/bin/env node
// A zero-coupon bond at the market's flat rate, in either mode and without any package:
// docs/SCRIPTS.md has the protocol, `price` is the part to replace.
"use strict";
const fs = require("fs");

class Rejected extends Error {} // the data is at fault: status 65, no retry

function price(task) {
  const one = (name, shape) => {
    const found = [...task.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))];
    if (found.length !== 1 || !shape.test(found[0][1])) throw new Rejected(`needs one plain ${name}`);
    return found[0][1];
  };
  const number = (name) => Number(one(name, /^-?\d+(\.\d+)?$/));
  const day = (name) => Date.parse(one(name, /^\d{4}-\d{2}-\d{2}$/)) / 86400000;
  if (!task.includes("<zeroCouponBond>")) throw new Rejected("needs a zeroCouponBond");
  const years = (day("maturityDate") - day("date")) / 365;
  if (!(years > 0)) throw new Rejected("needs a maturityDate after the date"); // NaN too: no such day
  return String(number("faceAmount") * Math.exp(-number("rate") * years));
}

function value(task) { // -> status and output, as in exec mode
  try {
    return [0, price(task.toString("utf8"))];
  } catch (fault) {
    write(2, Buffer.from(`${fault instanceof Rejected ? fault.message : fault.stack}\n`));
    return [fault instanceof Rejected ? 65 : 1, ""];
  }
}

function patiently(call) { // a descriptor may be non-blocking: wait a millisecond and try again
  for (;;) {
    try { return call(); } catch (err) { if (err.code !== "EAGAIN") throw err; }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
}

function write(descriptor, bytes) {
  for (let at = 0; at < bytes.length;) at += patiently(() => fs.writeSync(descriptor, bytes, at));
}

function readExactly(length) { // undefined at the end of the tasks
  const bytes = Buffer.alloc(length);
  for (let at = 0, got; at < length; at += got)
    if (!(got = patiently(() => fs.readSync(3, bytes, at, length - at, null)))) return undefined;
  return bytes;
}

function readHeader() {
  let line = "";
  for (let byte; (byte = readExactly(1)) && byte[0] !== 10;) line += String.fromCharCode(byte[0]);
  return line;
}

if (process.env.VN_SCRIPT_MODE === "persistent") {
  write(4, Buffer.from("READY 1\n"));
  for (let header; (header = readHeader());) {
    const [, nonce, facts, length] = header.match(/^TASK (\w+) (\d+) (\d+)$/);
    readExactly(Number(facts)); // JSON: VN_VALUATION_NAME, VN_TASK_DIRECTORY and the other facts
    const task = readExactly(Number(length));
    if (!task) break; // the worker is gone
    const [status, output] = value(task);
    const bytes = Buffer.from(output);
    write(4, Buffer.concat([Buffer.from(`RESULT ${nonce} ${status} ${bytes.length}\n`), bytes]));
  }
} else {
  const [status, output] = value(fs.readFileSync(0));
  write(1, Buffer.from(output));
  process.exitCode = status;
}
