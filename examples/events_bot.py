"""A bot that tells how runs go, also what it missed while it was away: events_bot.py redis://HOST:6379/0 PLACE"""

import json
import sys
from pathlib import Path

import redis

place = Path(sys.argv[2])  # a file that remembers the last event that was told
client = redis.Redis.from_url(sys.argv[1], decode_responses=True)
last = place.read_text() if place.exists() else "0"
while True:
    for _, entries in client.xread({"trainer:events": last}, block=2000) or []:
        for last, fields in entries:
            event = json.loads(fields["data"])
            if event["type"].startswith("trainer.job."):
                what = f"{event['progress']} %" if "progress" in event else event["type"].split(".")[2]
                print(event["job_id"], what, event.get("message") or "", flush=True)
            place.write_text(last)
