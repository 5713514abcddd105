"""Continuous decoding: rows that end leave the batch at once, waiting requests take their place."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ..core.edit import CacheEdit
from .choosing import Choice, TokenChoice
from .compiled import COLUMNS, CompiledDecode
from .drafting import Drafter, Drafting
from .editing import edit_rows
from .forward import PackedModel
from .limits import Limits, tokens_in_a_pass, tokens_in_a_step
from .passes import Feed, in_passes
from .prefixes import prefix_tree
from .requests import GenerationRequest, Response, kept_tokens
from .rows import ActiveRow, Chunk
from .storage import RowStore, Segment, is_read_together
from .waiting import WaitingPrompt, prefill_shared, waiting_prompts

# Every row may guess so many tokens, and more where there are few: attention pads all rows to the longest guess.
_FEWEST_DRAFTED = 2
# Rows have room for so many tokens after the prompt at first, if they may become as long; more is made when needed.
_COLUMNS_AT_FIRST = 320


class Decoder:
    """Decodes responses with one packed model.

    Args:
        packed: The model.
        edit: The edit of each prompt; None for none.
        limits: How many rows and how much memory.
        compiled: Compiled decode steps, without drafts; None for the model's own.
    """

    def __init__(
        self,
        packed: PackedModel,
        edit: CacheEdit | None,
        limits: Limits,
        compiled: CompiledDecode | None = None,
    ) -> None:
        self.packed = packed
        self.edit = edit
        self.limits = limits
        self.compiled = compiled
        self.most_prefilled = tokens_in_a_pass(packed.device)

    @torch.inference_mode()
    def decode(
        self, requests: Sequence[GenerationRequest], on_done: Callable[[int, Response], None] = lambda *_: None
    ) -> list[Response]:
        """Answers requests; what their prompts share is prefilled once, whatever their order.

        Args:
            requests: The requests.
            on_done: Called with the index of each request and its response once it is complete.

        Returns:
            One response for each request: the last one where another request follows.

        Raises:
            ValueError: Decode steps are compiled, for rows of fixed size, and a request is followed by another.
        """
        if self.compiled is not None and any(request.then is not None for request in requests):
            raise ValueError("Compiled decode steps take no requests that others follow.")
        numbers = _occurrences([request.prompt for request in requests])
        done: dict[int, Response] = {}

        def rest() -> None:
            left = [i for i in range(len(requests)) if i not in done]
            batch = _Batch(self, [requests[i] for i in left], [numbers[i] for i in left])
            with batch.running():
                while batch.waiting or batch.active:
                    batch.admit()
                    for index, response in batch.step():
                        done[left[index]] = response
                        on_done(left[index], response)

        with self.packed.attached():
            self.limits.halving(rest)
        return [done[i] for i in range(len(requests))]


def _occurrences(prompts: Sequence[tuple[int, ...]]) -> list[int]:
    """For each prompt, how many equal ones come before it."""
    seen: Counter[tuple[int, ...]] = Counter()
    numbers = []
    for prompt in prompts:
        numbers.append(seen[prompt])
        seen[prompt] += 1
    return numbers


class _Batch:
    """The rows in flight and the requests that wait, from a first admission to the last response."""

    def __init__(self, decoder: Decoder, requests: Sequence[GenerationRequest], numbers: Sequence[int]) -> None:
        self.decoder = decoder
        self.requests = requests
        self.numbers = numbers
        bytes_per_token = decoder.packed.bytes_per_token
        self.most_tokens = decoder.limits.kv_bytes // bytes_per_token
        tree = prefix_tree([request.path for request in requests], decoder.limits.share_prefixes)
        self.waiting = deque(waiting_prompts(tree))
        lengths = [self._held_by_row(prompt) for prompt in self.waiting]
        self.columns = max(n + _later(requests[p.index]) for n, p in zip(lengths, self.waiting, strict=True))
        first = min(self.columns, _COLUMNS_AT_FIRST + max(lengths))
        self.slots = max(1, min(decoder.limits.rows, self.most_tokens // self.columns))
        if decoder.compiled is not None:
            first = self.columns = -(-self.columns // COLUMNS) * COLUMNS
        else:
            self.slots = min(self.slots, len(requests))
        drafts = decoder.compiled is None and any(request.rule.most_drafted for request in requests)
        self.most_tokens_fed = tokens_in_a_step(decoder.packed.device, self.slots) if drafts else self.slots
        self.store = RowStore(self.slots, first, self.columns)
        self.drafting = Drafting()
        self.active: list[ActiveRow] = []

    def running(self) -> AbstractContextManager[None]:
        """The context of the whole run."""
        if self.decoder.compiled is not None:
            return nullcontext()
        steps = sum(request.rule.new_tokens for request in self.requests) // self.slots
        return self.decoder.packed.decoding(self.most_tokens_fed if self.slots > 1 else 1, steps)

    # Admission --------------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Gives free slots to waiting requests, and computes what they share."""
        admitted: list[WaitingPrompt] = []
        while self.waiting and len(self.active) + len(admitted) < self.slots and self._fits(admitted, self.waiting[0]):
            admitted.append(self.waiting.popleft())
        decoder = self.decoder
        prefill_shared(decoder.packed, decoder.edit, admitted, decoder.most_prefilled)
        for prompt in admitted:
            prefix = prompt.shared[-1].segment if prompt.shared else None
            self.store.lengths[len(self.active)] = 0
            if prefix is not None and self._is_copied(prompt):
                self.store.adopt(len(self.active), prefix)
                prefix = None
            row = self._start(prompt.index, self.requests[prompt.index], prefix)
            if prompt.own:
                row.pending.append(Chunk(prompt.own, prompt.edited))
            self.active.append(row)
            for shared in prompt.shared:
                shared.waiting -= 1
                if not shared.waiting:
                    shared.segment = None  # the rows that use it keep it alive

    def _start(
        self, index: int, request: GenerationRequest, prefix: Segment | None, before: Response | None = None
    ) -> ActiveRow:
        row = request.rule.choice.row(request.prompt, self.numbers[index])
        drafter = Drafter(request.prompt, request.rule.most_drafted, self.drafting)
        return ActiveRow(index, request, prefix, row, drafter, before)

    def _is_copied(self, prompt: WaitingPrompt) -> bool:
        """Whether a row gets its own copy of what it shares, which is faster to read where little is shared."""
        return self.decoder.compiled is not None or not is_read_together(prompt.shared_tokens)

    def _held_by_row(self, prompt: WaitingPrompt) -> int:
        """Tokens of a prompt that lie in its row."""
        return len(prompt.own) + (prompt.shared_tokens if self._is_copied(prompt) else 0)

    def _fits(self, admitted: Sequence[WaitingPrompt], prompt: WaitingPrompt) -> bool:
        """Whether the shared tokens that a further request needs fit beside those in use."""
        if not self.active and not admitted:
            return True
        chains = [shared.segment.chain() for p in admitted for shared in p.shared if shared.segment is not None]
        chains += [active.prefix.chain() for active in self.active if active.prefix is not None]
        held = {id(segment): segment.end - segment.start for chain in chains for segment in chain}
        missing = {
            shared: len(shared.node.tokens)
            for p in (*admitted, prompt)
            for shared in p.shared
            if shared.segment is None
        }
        return self.slots * self.columns + sum(held.values()) + sum(missing.values()) <= self.most_tokens

    # Decoding ---------------------------------------------------------------------------------------------------

    def step(self) -> list[tuple[int, Response]]:
        """Decodes a token for every row whose prompt is fed, and drafted ones that hold; returns what has ended.

        What is pending of prompts is fed in the same pass.
        """
        self._prefill_excess()
        ready = [slot for slot, active in enumerate(self.active) if active.is_ready]
        drafts = self._drafts(ready)
        chosen = self._choose(self._feed_next(drafts), drafts)
        ended = [slot for slot, choices in chosen.items() if self._take(slot, choices, len(drafts[slot]))]
        over = [self.active[slot] for slot in ended]
        followed = [(a, a.request.then(a.row.tokens)) for a in over if a.request.then is not None]
        done = [self._end(slot) for slot in reversed(ended) if self.active[slot].request.then is None]
        for active, request in followed:
            self._follow(active, request)
        return done

    def _feed_next(self, drafts: Mapping[int, Sequence[int]]) -> Tensor:
        """Feeds every row what comes next; returns logits after the newest token of ready rows and of their drafts."""
        if self.decoder.compiled is not None:
            return self.decoder.compiled.step(self.store, [active.newest for active in self.active])
        fed = [active.fed(drafts.get(slot, ())) for slot, active in enumerate(self.active)]
        ends = list(itertools.accumulate(map(len, fed)))
        wanted = [i for slot, draft in drafts.items() for i in range(ends[slot] - len(draft) - 1, ends[slot])]
        return self._feed(dict(enumerate(fed)), wanted)

    def _prefill_excess(self) -> None:
        """Feeds what is pending in passes of its own, longest first, until the rest fits into a decode step."""
        most = self.decoder.most_prefilled if self.decoder.compiled is None else 0
        while sum(len(row.next_chunk) for row in self.active) > most:
            rows = [(slot, row.next_chunk) for slot, row in enumerate(self.active) if row.next_chunk]
            in_order = sorted(rows, key=lambda entry: -len(entry[1]))
            fitting = next(in_passes(in_order, lambda entry: len(entry[1]), self.decoder.most_prefilled))
            self._feed(dict(fitting), ())

    def _feed(self, tokens: Mapping[int, Sequence[int]], wanted: Sequence[int]) -> Tensor:
        """Feeds rows by slot, with the pending part of a prompt that they begin with and its edit; returns logits."""
        held = {slot: self.store.lengths[slot] for slot in tokens}
        feeds = [Feed(fed, slot, self.active[slot].prefix) for slot, fed in tokens.items()]
        logits = self.decoder.packed.feed(self.store, feeds, wanted)
        chunks = {slot: self.active[slot].pending.popleft() for slot in tokens if self.active[slot].pending}
        if self.decoder.edit is not None:
            edited = [(slot, held[slot] + c.edited) for slot, c in chunks.items() if c.edited is not None]
            edit_rows(self.decoder.edit, self.store, edited)
        return logits

    def _choose(self, logits: Tensor, drafts: Mapping[int, Sequence[int]]) -> dict[int, list[Choice]]:
        """The next tokens of the rows with drafts, empty ones or not, each by its own rule."""
        bounds = dict(zip(drafts, itertools.accumulate((len(d) + 1 for d in drafts.values()), initial=0), strict=False))
        by_choice: dict[TokenChoice, list[int]] = {}
        for slot in drafts:
            by_choice.setdefault(self.active[slot].request.rule.choice, []).append(slot)
        chosen: dict[int, list[Choice]] = {}
        for choice, slots in by_choice.items():
            theirs = logits
            if len(by_choice) > 1:
                theirs = logits[[bounds[slot] + i for slot in slots for i in range(len(drafts[slot]) + 1)]]
            found = choice.choose(theirs, [self.active[slot].row for slot in slots], [drafts[slot] for slot in slots])
            chosen |= zip(slots, found, strict=True)
        return dict(sorted(chosen.items()))

    def _follow(self, old: ActiveRow, request: GenerationRequest) -> None:
        """Goes on with the request that follows an ended one, in its row, from what the cache already holds."""
        slot, path = self.active.index(old), request.path
        held = (*old.request.prompt, *old.row.tokens[:-1])
        kept = kept_tokens(held, old.request.path, path)
        prefix = old.prefix
        while prefix is not None and prefix.end > kept:
            prefix = prefix.parent
            kept = prefix.end if prefix is not None else 0
        self.active[slot] = row = self._start(old.index, request, prefix, old.response)
        self.store.lengths[slot] = kept - (prefix.end if prefix is not None else 0)
        if path.edited is not None and path.edited >= kept and path.boundary > kept:
            row.pending.append(Chunk(path.tokens[kept : path.boundary], path.edited - kept))
            kept = path.boundary
        if path.tokens[kept:]:
            row.pending.append(Chunk(path.tokens[kept:]))

    def _drafts(self, ready: Sequence[int]) -> dict[int, list[int]]:
        """What each ready row guesses, as much as one pass may hold; all may guess about equally much."""
        room = self.most_tokens_fed - len(self.active)
        most = max(_FEWEST_DRAFTED, room // max(1, len(self.active)))
        rows = {slot: self.active[slot] for slot in ready}
        left = {slot: row.request.rule.new_tokens - len(row.row.tokens) - 1 for slot, row in rows.items()}
        longest = {slot: max(0, min(most, left[slot])) for slot in rows}
        return self.drafting.draft({slot: row.drafter for slot, row in rows.items()}, longest, room)

    def _take(self, slot: int, choices: Sequence[Choice], drafted: int) -> bool:
        """Takes chosen tokens into a row; returns whether its response ended. What was drafted wrongly is forgotten."""
        active = self.active[slot]
        rule = active.request.rule
        self.store.lengths[slot] -= drafted + 1 - len(choices)
        active.drafter.extend([choice.token for choice in choices])
        for choice in choices:
            active.row.append(choice)
            if len(active.row.tokens) >= rule.new_tokens or rule.stop.ended(active.row.tokens):
                return True
        return False

    def _end(self, slot: int) -> tuple[int, Response]:
        """Takes a row out; the last row takes its slot, so that rows lie side by side."""
        ended, last = self.active[slot], self.active.pop()
        if slot < len(self.active):
            self.store.move(len(self.active), slot)
            self.active[slot] = last
        return ended.index, ended.response


def _later(request: GenerationRequest) -> int:
    """Most tokens that a row will hold beyond the prompt, about so for requests that others follow."""
    return request.rule.new_tokens + request.later_tokens
