"""식별코드 · API Keys: what a shop puts into its code, and the store's switches."""

from __future__ import annotations

from naru.console.visit import Answer, Visit, action, page
from naru.service import console_alarms, schedules
from naru.service import console_keys as desk
from naru.service.console_access import Role
from naru.service.console_keys import NewKey
from naru.store import stores


async def _show(visit: Visit, new: NewKey | None = None) -> Answer:
    keys = await visit.cx.db.read(stores.api_keys_of, visit.here.id)
    return await visit.page(
        "keys.html", keys=keys, stamps={k.id: desk.stamp_of(k) for k in keys}, overlaps=list(desk.OVERLAPS), new=new,
        switches=desk.SWITCHES, texts=desk.TEXT_SWITCHES, hours=schedules.DUNNING_HOURS, api=visit.cx.public_url,
    )  # fmt: skip


@page("/keys")
async def show(visit: Visit) -> Answer:
    """Codes, keys, addresses, switches."""
    return await _show(visit)


@action("/keys/add", need=Role.OWNER)
async def add(visit: Visit) -> Answer:
    """One more key; its secret is in this answer and nowhere else."""
    return await _show(visit, await desk.add_key(visit.cx, visit.actor, visit.here.id))


@action("/keys/{key:str}/rotate", need=Role.OWNER)
async def rotate(visit: Visit) -> Answer:
    """A new secret, shown in this answer."""
    visit.back = f"{visit.base}/keys"
    new = await desk.rotate(
        visit.cx, visit.actor, visit.here.id, visit.number("key"), visit.form.text("stamp", 40),
        visit.form.text("overlap", 10),
    )  # fmt: skip
    return await _show(visit, new)


@action("/keys/{key:str}/revoke", need=Role.OWNER)
async def revoke(visit: Visit) -> Answer:
    """A key is good no more."""
    visit.back = f"{visit.base}/keys"
    await desk.revoke(visit.cx, visit.actor, visit.here.id, visit.number("key"))
    return await visit.go(visit.back, "keys.revoked")


@action("/keys/networks", need=Role.OWNER)
async def networks(visit: Visit) -> Answer:
    """From where the API may be called."""
    visit.back = f"{visit.base}/keys"
    await desk.set_networks(visit.cx, visit.actor, visit.here.id, visit.form.text("networks", 5000))
    return await visit.go(visit.back, "frame.saved")


@action("/keys/switches", need=Role.OWNER)
async def switches(visit: Visit) -> Answer:
    """The store's switches."""
    visit.back = f"{visit.base}/keys"
    texts = {name: visit.form.text(name, 50) for name in desk.TEXT_SWITCHES}
    hour = visit.form.integer("dunning_hour") or None
    await desk.set_switches(visit.cx, visit.actor, visit.here, set(visit.form.every("switch")), texts)
    if hour != visit.here.dunning_hour:
        await schedules.set_dunning(visit.cx, visit.here.id, hour)
        await console_alarms.note(visit.cx, visit.actor, "dunning", str(hour or "-"), visit.here.id)
    return await visit.go(visit.back, "frame.saved")


@action("/keys/name", need=Role.OWNER)
async def name(visit: Visit) -> Answer:
    """The store's name."""
    visit.back = f"{visit.base}/keys"
    await desk.set_name(visit.cx, visit.actor, visit.here.id, visit.form.text("name", 200))
    return await visit.go(visit.back, "frame.saved")
