#!/usr/bin/env bash
# Two random deaths for each stage; campaign.sh does as many as one likes.
failures=0
for stage in catalog embed probe tables; do
    bash "$(dirname "$0")/campaign.sh" $stage 2 7 || failures=$((failures + 1))
done
exit $((failures > 0))
