"""What next, as one paragraph for a person."""

from __future__ import annotations

from posegrasp_ros.metrics import formatting

# Of poses that are too far off, this share of gross ones means that the first guess fails, not its refinement.
MOSTLY = 0.5


def in_words(headline: dict, needs: dict[str, dict], judged: list[dict], losses: dict, block_s: float) -> str:
    """The goal and how far it is, where most attempts are lost and what that means, and what to do about it.

    :param needs: {metric: verdict against its requirement}
    :param judged: [{metric, action, why}]
    """
    need = needs.get(headline['name'])
    sentences = (_goal(headline, need, block_s), _losses(losses), _gain(losses, need), _errors(losses, needs),
                 _advice(judged, needs))
    return ' '.join(sentence for sentence in sentences if sentence)


def _goal(headline: dict, need: dict | None, block_s: float) -> str:
    if headline['value'] is None:
        return ('Nothing tells yet how good the poses are: that takes ground truth, or a robot that reports how '
                'its picks went.')
    name = formatting.label(headline['name'])
    value, interval = formatting.quantity(headline['value'], '1'), formatting.interval(headline['interval'], '1')
    text = f'{name} is {value} {interval}'
    if need is None:
        return f'{text}; the baselines file states no requirement for it.'
    bound = 'at most' if need['direction'] == 'lower_is_better' else 'at least'
    text = f'{text}, {bound} {formatting.quantity(need["reference"], need["unit"])} is needed: '
    if need['verdict'] != 'inconclusive':
        return text + ('the goal is reached.' if need['verdict'] == 'better' else 'the goal is missed.')
    more = formatting.remaining(need['decided_after'], need['metric'], block_s)
    return f'{text}not decided yet' + (f', {more} would decide.' if more else '.')


def _losses(losses: dict) -> str:
    """Where most attempts are lost."""
    total, one = losses['attempts'], losses['of'].removesuffix('s')
    lost = total - losses['successes']
    if not lost:
        return f'Of {total} {one}s none fails.' if total else ''
    worst = max(losses['steps'], key=lambda step: step['lost'])
    share = 'all' if worst['lost'] == lost else f'{worst["lost"]}'
    return f'Of {total} {one}s {lost} fail, {share} of them for {formatting.reason(worst["reason"])}.'


def _gain(losses: dict, need: dict | None) -> str:
    """What the stage that loses most would bring if it were perfect."""
    rates = {stage: rate for stage, rate in losses['if_perfect'].items() if rate is not None}
    if not rates or losses['attempts'] == losses['successes']:
        return ''
    stage = max(rates, key=rates.get)
    now = losses['successes'] / losses['attempts']
    text = (f'A perfect {stage} alone would raise {formatting.quantity(now, "1")} to '
            f'{formatting.quantity(rates[stage], "1")}')
    if need is None or need['verdict'] == 'better' or need['direction'] != 'higher_is_better':
        return f'{text}.'
    return f'{text}, which is {"enough" if rates[stage] >= need["reference"] else "not enough by itself"}.'


def _errors(losses: dict, needs: dict[str, dict]) -> str:
    """What poses that are not good enough are off in, and whether they are near misses."""
    by = losses['outside_by']
    outside = sum(by.values()) - by['gross']
    if not outside:
        return ''
    counts = {'too far in position': by['position'], 'in rotation': by['rotation'], 'in both': by['both'],
              'by the narrow tolerance of their grasp alone': by['neither']}
    named = ', '.join(f'{count if count < outside else "all"} {what}' for what, count in counts.items() if count)
    text = (f'Of the {outside} poses that are not good enough, {named}' if outside > 1 else
            f'The one pose that is not good enough is off {named.removeprefix("all ")}')
    medians = [needs[name] for name in ('position_error_median', 'rotation_error_median') if name in needs]
    if medians and all(item['verdict'] == 'better' for item in medians):
        text = f'The typical pose is good enough, the tail is not. {text}'
    if by['gross'] >= MOSTLY * outside:
        return (f'{text}; {by["gross"]} by more than three times what is needed: the first guess fails rather '
                'than its refinement.')
    return f'{text}; most are near misses, off by less than three times what is needed: for refinement to mend.'


def _advice(judged: list[dict], needs: dict[str, dict]) -> str:
    """Work on, hold, ignore, by name."""
    def named(action: str) -> str:
        labels = [formatting.label(item['metric']) for item in judged
                  if item['action'] == action and item['metric'] in needs]
        return '; '.join(labels)

    parts = [f'{start}: {named(action)}.' for start, action in (
        ('Work on', 'work on'), ('Hold where it is', 'hold'), ('Ignore for now', 'ignore')) if named(action)]
    if parts and not named('work on'):
        parts.insert(0, 'Every requirement that was measured is met.')
    return ' '.join(parts)
