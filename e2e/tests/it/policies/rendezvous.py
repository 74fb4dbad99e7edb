"""All-reduce of a sum, as torch's env:// rendezvous begins: rank 0 listens on MASTER_PORT, the others connect."""
import os
import socket
import time

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
master = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
peers = os.environ["MUSTER_PEERS"].split(",")
assert rank == int(os.environ["JOB_COMPLETION_INDEX"]) and world == len(peers), peers
assert peers[0] == "%s:%d" % master and os.environ["LOCAL_RANK"] == "0"
deadline = time.monotonic() + 30


def await_file(path):
    while not os.path.exists(path):
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def until_connected():
    while True:
        try:
            return socket.create_connection(master)
        except ConnectionRefusedError:
            # Told to whoever holds rank 0 back until somebody has come too early.
            if "EARLY" in os.environ:
                open(os.environ["EARLY"], "w").close()
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.02)


def once(path):
    """Whether this is the first time that somebody asks."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


if rank == 0:
    if "EARLY" in os.environ:
        await_file(os.environ["EARLY"])
    with socket.create_server(master) as server:
        others = [server.accept()[0] for _ in range(world - 1)]
    lines = [other.makefile() for other in others]
    values = [line.readline() for line in lines]
    assert all(values), "a rank went away"
    total = 1 + sum(map(int, values))
    for other in others:
        other.sendall(b"%d\n" % total)
else:
    connection = until_connected()
    if rank == 1 and "FAIL_ONCE" in os.environ and once(os.environ["FAIL_ONCE"]):
        raise SystemExit(3)
    connection.sendall(b"%d\n" % (rank + 1))
    total = int(connection.makefile().readline())
assert total == world * (world + 1) // 2, total
print("rank %d of %d at %s: sum %d" % (rank, world, peers[rank], total))
