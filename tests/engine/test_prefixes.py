"""The tree of shared prefixes: every request's tokens along its branch, edits where they belong, nothing needless."""

import random

import pytest

from lm_eval_cachesteer.engine.prefixes import MIN_SAVED_TOKENS, PromptPath, prefix_tree

HEADER = tuple(range(100, 140))


def branches(tree):
    """Request -> (its tokens, positions of its edits, the ends of its nodes), read off the tree."""
    found = {}
    for chain in tree.chains():
        tokens = tuple(token for node in chain for token in node.tokens)
        edits, ends, start = [], [], 0
        for node in chain:
            assert node.start == start or not node.tokens
            if node.edited is not None:
                edits.append(start + node.edited)
            start += len(node.tokens)
            ends.append(start)
        for request in chain[-1].members:
            found[request] = (tokens, edits, ends)
    return found


def nodes_of(tree):
    work, found = list(tree.children), []
    while work:
        found.append(work.pop())
        work += found[-1].children
    return found


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("share", [True, False])
def test_every_request_finds_its_tokens_and_its_edit(seed, share):
    generator = random.Random(seed)
    paths = []
    for _ in range(40):
        tokens = [generator.randrange(2) for _ in range(generator.randrange(0, 12))]
        if generator.random() < 0.5:
            tokens = [*HEADER, *tokens]
        if tokens and generator.random() < 0.7:
            boundary = generator.randint(1, len(tokens))
            paths.append(PromptPath(tuple(tokens), generator.randrange(boundary), boundary))
        else:
            paths.append(PromptPath(tuple(tokens)))
    found = branches(prefix_tree(paths, share))
    assert sorted(found) == list(range(40))
    for i, path in enumerate(paths):
        tokens, edits, ends = found[i]
        assert tokens == tuple(path.tokens)
        assert edits == ([] if path.edited is None else [path.edited])
        if path.edited is not None:
            assert path.boundary in ends  # what follows the edit is fed in a later pass


def test_the_order_of_requests_does_not_matter():
    paths = [PromptPath((*HEADER, i, *range(20)), 40, 41) for i in range(6)]
    one, two = prefix_tree(paths), prefix_tree(paths[::-1])
    assert [node.tokens for node in nodes_of(one)] == [node.tokens for node in nodes_of(two)]


def test_choices_of_one_item_share_its_edited_context_and_all_items_share_the_header():
    contexts = [(*HEADER, *(1000 * item + i for i in range(1, 30))) for item in (1, 2)]
    paths = [PromptPath((*c, 7, choice, 9), len(c) - 1, len(c)) for c in contexts for choice in (1, 2, 3, 4)]
    tree = prefix_tree(paths)
    (header,) = tree.children
    assert header.tokens == HEADER
    assert header.users == 8
    assert sorted(child.tokens for child in header.children) == sorted(c[len(HEADER) :] for c in contexts)
    for context in header.children:
        assert context.edited == len(context.tokens) - 1
        assert [len(leaf.members) for leaf in context.children] == [1, 1, 1, 1]


def test_an_edited_token_is_not_shared_with_a_prompt_that_goes_on_unedited():
    short, long = (*HEADER, 1, 2), (*HEADER, 1, 2, 3)
    tree = prefix_tree([PromptPath(short, len(short) - 1, len(short)), PromptPath(long, len(long) - 1, len(long))])
    (header,) = tree.children
    assert header.tokens == (*HEADER, 1)
    assert header.edited is None
    assert sorted(child.tokens for child in header.children) == [(2,), (2, 3)]


def test_equal_prompts_share_everything():
    prompt = (*HEADER, 1, 2, 3)
    (node,) = prefix_tree([PromptPath(prompt, len(prompt) - 1, len(prompt))] * 8).children
    assert (node.tokens, node.members, node.edited) == (prompt, list(range(8)), len(prompt) - 1)


@pytest.mark.parametrize(("length", "shared"), [(MIN_SAVED_TOKENS - 1, False), (MIN_SAVED_TOKENS, True)])
def test_a_prefix_that_saves_less_than_its_pass_costs_is_not_shared(length, shared):
    prefix = HEADER[:length]
    tree = prefix_tree([PromptPath((*prefix, 1, 2)), PromptPath((*prefix, 3, 4))])
    assert len(tree.children) == (1 if shared else 2)


def test_deep_trees_need_no_recursion():
    paths = [PromptPath(tuple(range(i))) for i in range(0, 6000, 4)]
    assert len(branches(prefix_tree(paths))) == len(paths)
