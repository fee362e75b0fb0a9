"""`hunts receiver`: what a person sees who tries deliveries out."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from connector.respond.deliveries.decision import Answer
from connector.respond.deliveries.post import Web
from connector.respond.deliveries.receiver import HERE
from connector.respond.deliveries.signature import webhook_headers
from connector.settings.model import Receiver


@pytest.mark.timeout(60)
def test_it_says_what_to_write_into_the_settings_and_prints_what_arrives():
    words = [sys.executable, "-u", "-c", "from connector.cli import main; main()", "receiver"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = re.search(r"url: '(http://127\.0\.0\.1:\d+/deliveries)'", process.stderr.readline())[1]
        secret = re.search(r"HUNTS_LOOPBACK_SECRET=(whsec_\S+)", process.stderr.readline())[1]
        body = json.dumps({"type": "declaration.new", "data": {"threat": "a\x1b[31m"}}).encode()
        headers = webhook_headers(secret, "msg_1", int(time.time()), body)
        assert Web().post(Receiver("r", url, secret, networks=HERE), headers, body) == Answer(200)
        printed = process.stdout.readline()
        assert printed == f"msg_1: {body.decode()}\n"
        assert "\x1b" not in printed
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
