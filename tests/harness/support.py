"""Requests for the backend, built as the harness builds them."""

from lm_eval.api.instance import Instance


def generation(contexts, **gen_kwargs):
    settings = {"until": [], "max_gen_toks": 12, "do_sample": False} | gen_kwargs
    return [Instance("generate_until", {}, (context, dict(settings)), i) for i, context in enumerate(contexts)]


def likelihood(pairs):
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


def rolling(texts):
    return [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts)]


def counts(lm, request_type):
    """Requests, interventions, prompts not steered."""
    summary = lm.counts.summary()[request_type]
    return summary["requests"], summary["interventions"], summary["not_steered"]
