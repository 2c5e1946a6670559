#!/bin/sh
# The valuation script of the end-to-end tests: what it does is in the valuation's name.
case "$VN_VALUATION_NAME" in
  slow*) sleep 0.1; exec cat ;;
  fail*) echo "no such curve: $VN_TASK_ID" >&2; exit 1 ;;
  reject*) echo "VNP-201 /vnml/project/group/valuation/instrument: required element is missing" >&2; exit 65 ;;
  flaky*) [ "$VN_ATTEMPT" -gt 1 ] && exec cat; echo "try again" >&2; exit 75 ;;
  leak*) cat >/dev/null; env | sort | cut -d= -f1 | tr '\n' ' ' >&2; exit 65 ;;
  wants:*) [ -e "${VN_VALUATION_NAME#wants:}" ] && exec cat; echo "not there yet" >&2; exit 65 ;;
  hangs:*) sleep 300 & echo "$$ $!" > "${VN_VALUATION_NAME#hangs:}"; wait ;;
  *) exec cat ;;
esac
