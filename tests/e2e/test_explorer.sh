#!/usr/bin/env bash
# The explorer: answers that are those of `search`, what it refuses, and a visitor with a real browser (chromium; without one that part is left out), who
# reads the report, too.
. "$(dirname "$0")/../support/sky.sh"
"$ASTROCLIP_BIN" serve "$yaml" "${roots[@]}" --set "run.output=$work/nothing" > "$work/none.log" 2>&1 && fail "serve without a run succeeds"
grep -q 'without libmicrohttpd' "$work/none.log" && { echo "skipped: built without libmicrohttpd"; exit 77; }
grep -q 'run that stage first' "$work/none.log" || { fail "serve without a run does not say what is missing"; cat "$work/none.log"; }
make_sky
for name in catalog embed probe search report; do
    stage "$name" out 2 --set search.sample=5 --set report.queries=1 --set report.map_objects=40 > "$work/$name.log" 2>&1 || { fail "$name"; tail -5 "$work/$name.log"; finish; }
done
for name in catalog.h5 embeddings.h5 probes.h5 predictions.h5 matches.fits; do
    grep -q "class=\"run\"><th scope=\"row\">$name</th><td class=\"n\">" "$work/out/report/index.html" || fail "the report does not say how long $name took"
done
"$ASTROCLIP_BIN" serve "$yaml" "${roots[@]}" --set "run.output=$work/out" --set serve.port=0 --set serve.timeout_seconds=3 > "$work/url" 2> "$work/serve.log" &
server=$!
trap 'kill $server 2> /dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
url=$(cat "$work/url")
[ -n "$url" ] || { fail "the server does not start"; cat "$work/serve.log"; finish; }

# ask STATUS PATH [curl arguments...]: the answer in $work/answer
ask() {
    local want=$1 path=$2 got
    shift 2
    got=$(curl -s --path-as-is -m 20 -o "$work/answer" -w '%{http_code}' "$@" "${url%/}$path")
    [ "$got" = "$want" ] || { fail "$path $*: $got, not $want"; head -c 300 "$work/answer"; }
}
if command -v curl > /dev/null; then
    ask 200 / && grep -q '<title>' "$work/answer" || fail "no page"
    ask 200 /api/run && grep -q '"directions":\["image-image"' "$work/answer" || fail "/api/run does not tell the directions"
    ask 200 '/api/similar?row=10&direction=image-image&k=3'
    [ "$(grep -o '"score"' "$work/answer" | wc -l)" -eq 3 ] || fail "not three matches"
    for bad in '/api/similar?row=x&direction=image-image' '/api/similar?row=1e3&direction=image-image' '/api/similar?row=1&direction=up' '/api/similar?row=1' \
        '/api/similar?row=1&direction=image-image&k=0' '/api/similar?row=1&direction=image-image&k=1000' '/api/object' '/api/object?targetid=9999999999999999999999' \
        '/api/sample?n=-1' '/api/sample?page=x' '/api/spectrum'; do
        ask 400 "$bad" && grep -q '"error"' "$work/answer" || fail "$bad: no reason"
    done
    for bad in /nothing /api /api/run/ '/api/object?targetid=12' '/api/similar?row=-1&direction=image-image' '/api/similar?row=99999999&direction=image-image' \
        /../../../etc/passwd /..%2f..%2fetc/passwd /image/../catalog.h5 '/image/..%2f..%2fcatalog.h5.png' /image/x.png /image/-1.png /image/99999999.png /image/1.jpg \
        /explorer.js/ /catalog.h5; do
        ask 404 "$bad"
        grep -qa 'root:\|HDF' "$work/answer" && fail "$bad gives a file away"
    done
    ask 405 /api/run -X DELETE
    ask 405 /api/run -X POST
    ask 403 /api/run -H 'Host: other.example'
    ask 403 /api/run -H 'Host: 127.0.0.1.other.example'
    ask 414 "/$(head -c 40000 /dev/zero | tr '\0' a)"
    curl -s -m 20 -X POST --data-binary "@$ASTROCLIP_BIN" -o /dev/null "${url}api/run" && fail "a large body is taken"
    port=${url##*:}; port=${port%/}
    exec 9<> "/dev/tcp/127.0.0.1/$port" && { printf 'GET /api/run HTT' >&9; timeout 15 cat <&9 > "$work/slow"; [ $? -ne 124 ] || fail "a request that never ends is not cut off"; exec 9>&-; }
    ask 200 /api/run # it still answers
fi
kill -0 $server 2> /dev/null || { fail "the server is gone"; tail -5 "$work/serve.log"; }

python=${ASTROCLIP_PYTHON:-python3}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ] && "$python" -c 'import astropy' 2> /dev/null; then
    "$python" - "$work/out/matches.fits" > "$work/matches.csv" << 'END'
import sys
from astropy.table import Table
t = Table.read(sys.argv[1], hdu="MATCHES")
print("direction,query,rank,targetid,score")
for r in t:
    print(str(r["DIRECTION"]).strip(), r["QUERY_TARGETID"], r["RANK"], r["TARGETID"], r["SCORE"], sep=",")
END
    "$python" tests/e2e/explorer.py "$url" "$browser" "$work/matches.csv" ${EXPLORER_SHOTS:-} || fail "the explorer in a browser"
    ! command -v gnuplot > /dev/null || "$python" tests/e2e/report.py "$work/out/report/index.html" "$browser" ${EXPLORER_SHOTS:-} || fail "the report in a browser"
else
    echo "no chromium, or no astropy: not tried in a browser"
fi
kill -TERM $server
wait $server
code=$?
[ $code -eq 0 ] || fail "the server ends with $code when asked to"
finish
