"""params.yaml × methods.yaml → plan.json: what every stage will do."""

from dataselect.plan.unchanged import last_lines, surroundings


def main() -> None:
    """Writes plan.json and prints what it says; ends at once where nothing changed for it."""
    before = surroundings()
    lines = last_lines(before)
    if lines is not None:
        print("\n".join(lines))  # noqa: T201 - what prints the other lines takes longer to load
        return
    from dataselect.stage import begin, collect_less

    begin()
    collect_less()
    from dataselect.plan.command import make_plan

    make_plan(before)


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        from dataselect.stage import end_with_message

        end_with_message("plan", error)
