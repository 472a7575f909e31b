"""Tokens. The security stage has verified the token before a handler runs."""

from handlers.types import Answer, Context


async def verify_token(context: Context) -> Answer:
    """Return the user and the expiry of the token."""
    user = context.user
    body = {"user_id": user.id, "email": user.email, "name": user.name, "expires_at": user.expires_at}
    return Answer(200, body)
