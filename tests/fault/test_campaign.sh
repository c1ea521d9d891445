#!/usr/bin/env bash
# Two random deaths for each stage of `astroclip list`; campaign.sh does as many as one likes. Under the sanitizers a sky takes minutes: not those stages.
stages=all
[ -z "${ASTROCLIP_BRIEF:-}" ] || stages="catalog embed probe tables"
exec bash "$(dirname "$0")/campaign.sh" "$stages" 2 7
