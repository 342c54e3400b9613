"""채널 관리: contracts with the PG."""

from __future__ import annotations

from typing import Any

from litestar.exceptions import HTTPException

from naru.console.visit import Answer, Form, Visit, action, page
from naru.domain.channel import Channel, Credentials, Environment, Use
from naru.service import channels as proving
from naru.service import console_channels as desk
from naru.service.console_access import Role
from naru.store import console, people, stores

NOTI_PATIENCE_MS = 86_400_000


async def _all(visit: Visit) -> list[Channel]:
    return await visit.cx.db.read(stores.channels_of, visit.here.id, visit.cx.vault)


async def channel_of(visit: Visit) -> Channel:
    """The channel that the path names. 404 unless it is this store's."""
    key = visit.param("key")
    found = next((c for c in await _all(visit) if c.key == key), None)
    if found is None:
        raise HTTPException(status_code=404)
    return found


def _text(channel: Channel) -> str:
    return "\n".join(a.replace(":", " ") for a in channel.accounts)


@page("/channels")
async def listing(visit: Visit) -> Answer:
    """All channels in order."""
    channels = await _all(visit)
    times = await visit.cx.db.read(console.noti_times, visit.here.id)
    now = visit.cx.clock()
    deaf = {
        c.id
        for c in channels
        if c.environment is not Environment.SANDBOX
        and times[c.id].noti_seen_at is None
        and now - times[c.id].created_at > NOTI_PATIENCE_MS
        and not c.disabled
    }
    return await visit.page("channels.html", channels=channels, times=times, deaf=deaf, methods=desk.METHODS)


@page("/channels/new", need=Role.OWNER)
async def choose(visit: Visit) -> Answer:
    """First step: mode and module; second step: the form."""
    chosen = _chosen(visit.query)
    if chosen is None:
        return await visit.page("channel_choose.html")
    environment, use = chosen
    draft = desk.Draft(environment, use)
    preset = visit.query.text("mid", 12)
    _fill(draft, preset)
    draft.name = visit.t(f"mid.{preset}") if preset and _preset(draft, preset) else ""
    draft.merchant_name, draft.merchant_name_en = visit.here.name[:50], "Shop"
    return await _form(visit, draft, {})


def _chosen(form: Form) -> tuple[Environment, Use] | None:
    try:
        return Environment(form.text("environment", 10)), Use(form.text("use", 10))
    except ValueError:
        return None


def _preset(draft: desk.Draft, mid: str) -> desk.Preset | None:
    return next((p for p in desk.presets(draft.environment, draft.use) if p.mid == mid), None)


def _fill(draft: desk.Draft, mid: str) -> None:
    found = _preset(draft, mid)
    if found is not None:
        draft.mid, draft.credentials, draft.flags = mid, found.credentials, set(found.flags)
        draft.accounts = "\n".join(a.replace(":", " ") for a in desk.preset_accounts(found))


def _draft(visit: Visit, environment: Environment, use: Use) -> desk.Draft:
    form = visit.form
    try:
        credentials = Credentials(form.text("credentials", 20))
    except ValueError:
        credentials = Credentials.NONE
    return desk.Draft(
        environment=environment, use=use, mid=form.text("mid", 40), name=form.text("name", 120),
        credentials=credentials if use is Use.API else Credentials.NONE, hash_key=form.text("hash_key", 200),
        aes_key=form.text("aes_key", 200), taxation=form.text("taxation", 10),
        flags=set(form.every("flags")) & set(desk.flags_of(use)), accounts=form.text("accounts", 20_000),
        merchant_name=form.text("merchant_name", 60), merchant_name_en=form.text("merchant_name_en", 60),
    )  # fmt: skip


async def _form(
    visit: Visit, draft: desk.Draft, problems: dict[str, str], channel: Channel | None = None, status: int = 200
) -> Answer:
    return await visit.page(
        "channel_form.html", status, draft=draft, problems=problems, channel=channel,
        presets=desk.presets(draft.environment, draft.use), flags=desk.flags_of(draft.use),
        taxations=desk.TAXATIONS, credentials=[c.value for c in Credentials],
        noti_address=f"{visit.cx.public_url}/settle_payments/notice_vbank",
    )  # fmt: skip


@action("/channels/new", need=Role.OWNER)
async def add(visit: Visit) -> Answer:
    """Add a channel."""
    chosen = _chosen(visit.form)
    if chosen is None:
        return visit.to(f"{visit.base}/channels/new")
    draft = _draft(visit, *chosen)
    try:
        key = await desk.add(visit.cx, visit.actor, visit.here.id, draft)
    except desk.ChannelProblems as found:
        draft.hash_key = draft.aes_key = ""
        return await _form(visit, draft, dict(found.problems), status=422)
    return await visit.go(f"{visit.base}/channels/{key}", "channels.added")


@page("/channels/{key:str}")
async def detail(visit: Visit) -> Answer:
    """One channel."""
    channel = await channel_of(visit)
    times = await visit.cx.db.read(console.noti_times, visit.here.id)
    changes = await visit.cx.db.read(people.changes_of, visit.here.id, channel.key)
    address = f"{visit.cx.public_url}/settle_payments/notice_vbank"
    mail = visit.t("channels.mail_text", merchant=channel.merchant_name, mid=channel.mid, address=address)
    return await visit.page(
        "channel.html", channel=channel, times=times[channel.id], changes=changes[-20:], noti_address=address,
        flags=[f for f in desk.flags_of(channel.use) if channel.allows(f)], methods=desk.METHODS,
        mails=desk.DEPOSIT_NOTICE_MAILS, mail_text=mail, mail_subject=visit.t("channels.mail_subject", mid=channel.mid),
    )  # fmt: skip


@page("/channels/{key:str}/edit", need=Role.OWNER)
async def edit_form(visit: Visit) -> Answer:
    """Change a channel."""
    c = await channel_of(visit)
    draft = desk.Draft(
        c.environment, c.use, c.mid, c.name, c.credentials, "", "", c.taxation,
        {f for f in desk.flags_of(c.use) if c.allows(f)}, _text(c), c.merchant_name, c.merchant_name_en,
    )  # fmt: skip
    return await _form(visit, draft, {}, c)


@action("/channels/{key:str}/edit", need=Role.OWNER)
async def edit(visit: Visit) -> Answer:
    """Change a channel."""
    channel = await channel_of(visit)
    draft = _draft(visit, channel.environment, channel.use)
    draft.mid = channel.mid
    try:
        await desk.change(visit.cx, visit.actor, channel, draft)
    except desk.ChannelProblems as found:
        draft.hash_key = draft.aes_key = ""
        return await _form(visit, draft, dict(found.problems), channel, 422)
    return await visit.go(f"{visit.base}/channels/{channel.key}", "channels.changed")


@action("/channels/{key:str}/check")
async def check(visit: Visit) -> Answer:
    """연결 확인: a harmless signed inquiry."""
    channel = await channel_of(visit)
    found = await proving.check(visit.cx, channel.key)
    await visit.say(found.text, "good" if found.good else "bad")
    return visit.to(f"{visit.base}/channels/{channel.key}")


@action("/channels/{key:str}/default", need=Role.OWNER)
async def default(visit: Visit) -> Answer:
    """Make it the default of its use."""
    visit.back = f"{visit.base}/channels"
    channel = await channel_of(visit)
    await desk.set_default(visit.cx, visit.actor, channel)
    return await visit.go(f"{visit.base}/channels", "channels.default_set", name=channel.name)


@action("/channels/{key:str}/methods", need=Role.OWNER)
async def methods(visit: Visit) -> Answer:
    """Make it the default of pay methods."""
    channel = await channel_of(visit)
    if channel.use is not Use.WINDOW:
        raise HTTPException(status_code=404)
    chosen = set(visit.form.every("method")) & set(desk.METHODS)
    await desk.set_method_defaults(visit.cx, visit.actor, channel, chosen)
    return await visit.go(f"{visit.base}/channels/{channel.key}", "channels.changed")


@action("/channels/{key:str}/move", need=Role.OWNER)
async def move(visit: Visit) -> Answer:
    """Up or down in the order."""
    await desk.move(visit.cx, visit.actor, await channel_of(visit), visit.form.text("to") == "up")
    return visit.to(f"{visit.base}/channels")


@action("/channels/{key:str}/disable", need=Role.OWNER)
async def disable(visit: Visit) -> Answer:
    """Out of use for new payments, or back."""
    channel = await channel_of(visit)
    off = visit.form.flag("off")
    await desk.set_disabled(visit.cx, visit.actor, channel, off)
    return await visit.go(
        f"{visit.base}/channels/{channel.key}", "channels.disabled" if off else "channels.enabled", name=channel.name
    )


def described(channel: Channel) -> dict[str, Any]:
    """A channel in a few words, for lists of payments."""
    return {"name": channel.name, "key": channel.key, "environment": channel.environment.value}
