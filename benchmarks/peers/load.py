"""Load on a server: clients that wait for each answer, and clients that do not.

Run as a process of its own, so that servers and clients share no interpreter:

    python load.py < SETTINGS.json > RESULT.json
"""

import http.client
import json
import queue
import random
import sys
import threading
import time


def asker(address: str, path: str):
    """Returns a function that sends one body over a kept connection."""
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Content-Type": "application/json"}

    def ask(body: bytes) -> int:
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            return response.status
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0

    return ask


def closed_loop(address, path, bodies, clients, seconds):
    """Each client asks again as soon as it is answered."""
    found, lock = [], threading.Lock()
    start = time.perf_counter()
    end = start + seconds

    def run(number):
        ask, times, position = asker(address, path), [], number
        while (begun := time.perf_counter()) < end:
            status = ask(bodies[position % len(bodies)])
            times.append((status, time.perf_counter() - begun))
            position += clients
        with lock:
            found.extend(times)

    _all(run, clients)
    return found, time.perf_counter() - start


def open_loop(address, path, bodies, rate, seconds, clients=64):
    """Requests come at random times, whatever the server does; time counts from when one is due."""
    chance = random.Random(1)
    due, moment = [], 0.0
    while (moment := moment + chance.expovariate(rate)) < seconds:
        due.append(moment)
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for item in enumerate(due):
        waiting.put(item)
    found, lock = [], threading.Lock()
    start = time.perf_counter()

    def run(_):
        ask, times = asker(address, path), []
        while True:
            try:
                number, moment = waiting.get_nowait()
            except queue.Empty:
                break
            wait = start + moment - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            status = ask(bodies[number % len(bodies)])
            times.append((status, time.perf_counter() - start - moment))
        with lock:
            found.extend(times)

    _all(run, clients)
    return found, time.perf_counter() - start


def _all(run, clients):
    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    settings = json.load(sys.stdin)
    bodies = [json.dumps({"instances": texts}).encode() for texts in settings.pop("requests")]
    loop = {"closed": closed_loop, "open": open_loop}[settings.pop("loop")]
    found, seconds = loop(bodies=bodies, **settings)
    times = sorted(time for status, time in found if status == 200)
    json.dump(
        {
            "milliseconds": [1e3 * t for t in times],
            "failed": len(found) - len(times),
            "seconds": seconds,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
