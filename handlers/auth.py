"""Tokens. Whoever gets here has shown a valid one: the security stage verified it."""

from handlers.types import Answer, Context


async def verify_token(context: Context) -> Answer:
    """Whose token it is, and until when it is valid."""
    user = context.user
    body = {"user_id": user.id, "email": user.email, "name": user.name, "expires_at": user.expires_at}
    return Answer(200, body)
