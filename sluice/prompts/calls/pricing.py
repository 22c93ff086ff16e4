"""What a call costs, in US dollars, from the tokens that were used.

Prices are those of the package `genai-prices`, or those that the providers' file states. A price
that nobody knows is None, never 0, and a cost is never negative.
"""

from dataclasses import dataclass
from decimal import Decimal

from sluice.config.llm.providers import LocalProvider, StatedPrice
from sluice.prompts.calls.choice import FILE, ModelChoice
from sluice.prompts.calls.tokens import bound_input_tokens
from sluice.prompts.chat import ChatRequest, TokenUsage

MILLION = 1_000_000


@dataclass(frozen=True)
class CallPrice:
    """How calls of one model are priced: by a stated price, else by the table."""

    choice: ModelChoice

    @property
    def is_known(self) -> bool:
        """Whether there is a price."""
        return self.compute(TokenUsage(input=1, output=1)) is not None

    @property
    def is_free(self) -> bool:
        """Whether its stated price is 0."""
        price = self.choice.model.price
        return price is not None and not any(
            (price.input, price.output, price.cache_read, price.cache_write)
        )

    def compute(self, usage: TokenUsage) -> float | None:
        """Return what a call costs; None where its price or its tokens are unknown."""
        if not usage.is_known:
            return None
        stated = self.choice.model.price
        cost = _apply(stated, usage) if stated else _look_up(self.choice, usage)
        return None if cost is None or cost < 0 else float(cost)

    def bound(self, request: ChatRequest) -> float | None:
        """Return the most that a call of a request can cost; None where no price is known."""
        most = TokenUsage(input=bound_input_tokens(request), output=request.max_tokens)
        return self.compute(most)

    def explain_absence(self) -> str:
        """Return why there is no price, and what to do."""
        return (
            f"the price of {self.choice.describe()} is unknown; next: state it in {FILE} as "
            f"models.{self.choice.name}.price: {{input: ..., output: ...}}, in US dollars per "
            "million tokens"
        )


def find_price(choice: ModelChoice) -> CallPrice:
    """Return how a model's calls are priced."""
    return CallPrice(choice)


def _apply(price: StatedPrice, usage: TokenUsage) -> Decimal:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    sums = (
        (usage.input or 0) * price.input,
        (usage.output or 0) * price.output,
        usage.cache_read * read,
        usage.cache_write * write,
    )
    return sum(sums, Decimal(0)) / MILLION


def _look_up(choice: ModelChoice, usage: TokenUsage) -> Decimal | None:
    if isinstance(choice.provider, LocalProvider):
        return None
    from genai_prices import Usage, calc_price

    used = Usage(
        input_tokens=(usage.input or 0) + usage.cache_read + usage.cache_write,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
    )
    named = choice.provider.prices
    try:
        if named:
            return calc_price(used, model_ref=choice.model.id, provider_id=named).total_price
        url = choice.provider.url
        return calc_price(used, model_ref=choice.model.id, provider_api_url=url).total_price
    except (LookupError, ValueError):
        return None
