"""Tokens. Whoever gets here has shown a valid one: the security stage verified it."""

from handlers.types import Answer, Context


async def verify_token(context: Context) -> Answer:
    """Whose token it is, and until when it is valid."""
    who = context.principal
    body = {"user_id": who.subject, "email": who.email, "name": who.name, "expires_at": who.expires_at}
    return Answer(200, body)
