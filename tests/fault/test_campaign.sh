#!/usr/bin/env bash
# Two random deaths for each stage of `astroclip list`; campaign.sh does as many as one likes.
exec bash "$(dirname "$0")/campaign.sh" all 2 7
