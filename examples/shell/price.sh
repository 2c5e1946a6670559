#!/bin/sh
# A zero-coupon bond at the market's flat rate: one task on stdin, its price on stdout.
exec awk 'BEGIN { RS = "<"; FS = ">" } { times[$1]++; text[$1] = $2 }
function fault(name) { print "needs one plain " name > "/dev/stderr"; exit 65 }
function read(name, shape) { if (times[name] != 1 || text[name] !~ shape) fault(name); return text[name] }
function number(name) { return read(name, "^-?[0-9]+([.][0-9]+)?$") }
function day(name,  d) { split(read(name, "^[0-9]+-[0-9]+-[0-9]+$"), d, "-"); if (d[2] < 3) { d[1]--; d[2] += 12 }
  return 365 * d[1] + int(d[1] / 4) - int(d[1] / 100) + int(d[1] / 400) + int((153 * d[2] - 457) / 5) + d[3] }
END { if (times["zeroCouponBond"] != 1) fault("zeroCouponBond")
  years = (day("maturityDate") - day("date")) / 365; if (years <= 0) fault("maturityDate, after the date")
  printf "%.15g\n", number("faceAmount") * exp(-number("rate") * years) }'
