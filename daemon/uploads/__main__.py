"""``python -m daemon.uploads``: uploads a folder to a place, for the supervisor, which must not load what that needs.

Reads one line of JSON, `Order`, and prints one, `Done`. Ends at once when its standard input closes: whoever asked is
gone then.
"""

import os
import sys
import threading

from daemon.uploads.data_bank import DataBank
from daemon.uploads.folder import Folder
from daemon.uploads.hub import Hub
from daemon.uploads.object_store import ObjectStore
from daemon.uploads.order import Done, Order
from daemon.uploads.place import Place, UploadError, compare, files_of, sum_of_file


def carry_out(order: Order) -> Done:
    """Upload, and read back if asked. Blocking."""
    try:
        place = _place(order)
        sums = {file: sum_of_file(order.folder / file) for file in files_of(order.folder, order.links_into)}
        address = place.put(order.name, order.folder, sums)
        if order.verify:
            compare(sums, place.sums(order.name, order.folder, sums), address)
    except (UploadError, OSError) as error:
        return Done(error=str(error))
    return Done(sums=sums, address=address, verified=order.verify)


def _place(order: Order) -> Place:
    if order.place.startswith("hub:"):
        return Hub(order.place.removeprefix("hub:"))
    if order.place == "data-bank":
        if order.bank is None:
            raise UploadError("there is no data bank: set integrations.data_bank.url")
        return DataBank(order.bank, order.bank_key, order.bank_timeout)
    return ObjectStore(order.place) if "://" in order.place else Folder(order.place)


def _end_with_whoever_asked() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    asked = Order.model_validate_json(sys.stdin.readline())
    threading.Thread(target=_end_with_whoever_asked, daemon=True).start()
    print(carry_out(asked).model_dump_json(), flush=True)
    os._exit(0)
