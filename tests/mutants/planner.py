"""Mutants of the planner: the inverse of brackets and of risks, and records in hand."""

from __future__ import annotations

from mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "plan-in-mean-with-a-confidence",
        "planner/needed.py",
        "mean = tv if sure is None else tv + (1.0 - sure) * (1.0 - tv)",
        "mean = tv",
        "what holds with a confidence has a mean that is larger than tv",
        "planner/test_planner.py::test_what_holds_with_half_a_chance_may_have_a_larger_mean",
    ),
    Mutant(
        "plan-too-few-of-what-is-not-exact",
        "planner/needed.py",
        "sharp = sure is None and proved.exact",
        "sharp = proved.exact",
        "one fewer than suffices with a confidence is said not to suffice in mean",
        "planner/test_planner.py::test_confidence_holds_in_simulation "
        "planner/test_planner.py::test_confidence_for_a_teacher_with_soft_labels_is_the_quantile "
        "planner/test_planner.py::test_plan_orders_the_levels_and_finds_the_cheapest",
    ),
    Mutant(
        "plan-prices-without-entries",
        "planner/sizes.py",
        "each.append(query + levels[name].revealed(labels) * entry)",
        "each.append(query + entry)",
        "an answer of many log-probabilities costs that of one",
        "planner/test_planner.py::test_plan_orders_the_levels_and_finds_the_cheapest",
    ),
    Mutant(
        "plan-cheapest-of-what-is-impossible",
        "planner/sizes.py",
        "to_numpy(dtype=np.float64, na_value=np.nan)\n        found.insert",
        "to_numpy(dtype=np.float64, na_value=0.0)\n        found.insert",
        "a level that never suffices costs nothing",
        "planner/test_planner.py::test_plan_orders_the_levels_and_finds_the_cheapest "
        "planner/test_planner.py::test_the_impossible_is_said "
        "planner/test_planner.py::test_command",
    ),
    Mutant(
        "plan-rank-of-soft-labels",
        "planner/sizes.py",
        'ranked = [k for k in entries_of(top, "top") if whole_number(k, "top") < width - 1]',
        'ranked = [k for k in entries_of(top, "top") if whole_number(k, "top") < width]',
        "a top-k that is soft labels stands in the table beside them",
        "planner/test_planner.py::test_plan_orders_the_levels_and_finds_the_cheapest "
        "planner/test_planner.py::test_levels_that_were_asked_for_and_have_no_row_are_said "
        "planner/test_planner.py::test_command",
    ),
    Mutant(
        "teacher-plan-of-one-standard-error",
        "planner/teachers.py",
        "SIMULATED_SETS, MOST_SETS, STANDARD_ERRORS = 256, 2**14, 5.0",
        "SIMULATED_SETS, MOST_SETS, STANDARD_ERRORS = 256, 2**14, 0.0",
        "a simulated mean decides without its error",
        "planner/test_planner.py::test_a_teacher_without_exact_risk_is_simulated",
    ),
    Mutant(
        "teacher-plan-of-the-mean",
        "planner/teachers.py",
        "return floor + law.quantile(1.0 - delta)",
        "return floor + law.quantile(max(1.0 - 2.0 * delta, 0.5))",
        "a confidence of 1 - delta is one of 1 - 2 delta",
        "planner/test_planner.py::test_confidence_for_a_teacher_with_soft_labels_is_the_quantile",
    ),
    Mutant(
        "teacher-plan-forgets-labels-per-query",
        "planner/teachers.py",
        "law = None if times == 1 else iid(labels_per_query=times)",
        "law = None",
        "several labels per query are one",
        "planner/test_any_level.py::test_several_labels_per_query_of_a_teacher_in_hand",
    ),
    Mutant(
        "records-that-contradict-themselves",
        "planner/records.py",
        "if off > tv:",
        "if off > 10.0 * tv:",
        "records that contradict themselves by more than tv give a number",
        "planner/test_records.py::test_contradicting_answers_prove_nothing "
        "planner/test_records.py::test_what_contradicts_itself_is_counted_as_the_certificate_does",
    ),
    Mutant(
        "records-count-twice",
        "planner/records.py",
        "rest = None if fresh.n is None else max(fresh.n - hand.n * hand.revealed, 0)",
        "rest = None if fresh.n is None else max(fresh.n - hand.n, 0)",
        "records that do not show what the level shows count as its queries",
        "planner/test_records.py::test_records_that_do_not_reveal_a_level_do_not_count_as_its_queries",
    ),
    Mutant(
        "records-missing-mass-of-one-point-less",
        "planner/records.py",
        "missing_mass_bounds(left + 1, m, 1.0 - sure).sharper",
        "missing_mass_bounds(max(left, 1), m, 1.0 - sure).sharper",
        "the mass of all that is known already is no point",
        "planner/test_records.py::test_the_proof_from_here_on_by_hand "
        "planner/test_records.py::test_the_proved_number_of_further_queries_suffices",
    ),
    Mutant(
        "records-without-e",
        "planner/records.py",
        "min(1.0, left * math.exp(-m * math.log1p(1.0 / m)) / (m + 1.0)) * spread",
        "min(1.0, left * math.exp(-m * math.log1p(1.0 / m)) / (m + 1.0)) * spread * 0.99",
        "a bound is off by 1 %",
        "planner/test_records.py::test_the_proof_from_here_on_by_hand",
    ),
    Mutant(
        "records-cache-forgets-the-confidence",
        "planner/records.py",
        "key = level.name, level.inputs, level.labels, tv, sure",
        "key = level.name, level.inputs, level.labels, tv",
        "a proof in mean is given out for one with confidence",
        "planner/test_estimate.py::test_a_proof_keeps_its_number_and_has_the_estimate_beside_it "
        "planner/test_records.py planner/test_estimate.py",
    ),
    Mutant(
        "certificates-cache-forgets-the-level",
        "planner/records.py",
        "key = level.name, confidence\n",
        'key = "", confidence\n',
        "the certificate of one level is given out for another",
        "planner/test_records.py planner/test_estimate.py",
    ),
    Mutant(
        "posterior-cache-forgets-the-inputs",
        "planner/posterior/draws.py",
        "key = labels, inputs\n",
        "key = labels, None\n",
        "how many inputs there are is forgotten",
        "planner/test_estimate.py::test_known_inputs_sharpen_the_interval "
        "planner/test_estimate.py::test_the_way_out_of_rows_that_differ_too_much_is_the_number_of_inputs",
    ),
    Mutant(
        "crossings-cache-forgets-tv",
        "planner/posterior/draws.py",
        'return self._once(("further", top, tv), lambda: self._further(top, tv))',
        'return self._once(("further", top), lambda: self._further(top, tv))',
        "the answer for one total variation is given out for another",
        "planner/test_estimate.py::test_a_level_never_needs_more_than_one_that_reveals_less",
    ),
    Mutant(
        "estimate-interval-not-widened",
        "planner/estimate.py",
        "low = (records + tails[0]) / factor - records",
        "low = tails[0]",
        "the lower end of the interval is that of the model",
        "planner/test_estimate.py::test_the_ends_are_moved_apart_by_the_factor_as_totals",
    ),
    Mutant(
        "estimate-with-few-records",
        "planner/estimate.py",
        "if each < (FEWEST if states else FEWEST_LABELS):",
        "if each < 0.0:",
        "one record for each input determines a number",
        "planner/test_estimate.py::test_few_records_determine_an_interval_and_no_number",
    ),
    Mutant(
        "posterior-spike-not-shared",
        "planner/posterior/rows.py",
        "rows = shares(parameter, used, rng) * (1.0 - spike[:, None])",
        "rows = shares(parameter, used, rng)",
        "a spike is added to a row that is full",
        "planner/test_posterior.py::test_drawn_rows_have_the_mean_of_the_posterior",
    ),
    Mutant(
        "posterior-truncation-forgotten",
        "planner/posterior/inputs.py",
        "return log - len(visits) * np.log(np.maximum(1.0 - missed, 1e-300))",
        "return log",
        "inputs that were never asked are taken to show",
        "planner/test_posterior.py::test_the_evidence_of_a_family_is_its_integral_over_the_box "
        "planner/test_posterior.py::test_as_many_inputs_as_are_known_are_drawn",
    ),
    Mutant(
        "posterior-caps-of-the-sampled-label",
        "planner/posterior/pilot.py",
        "listed = ~np.isnan(transfer.entry_logp) & (label != transfer.sampled[record])",
        "listed = ~np.isnan(transfer.entry_logp)",
        "a sampled label that is not among the most probable bounds what is hidden",
        "planner/test_posterior.py::test_the_cap_is_the_smallest_that_a_record_lists_beside_its_own_label",
    ),
    Mutant(
        "posterior-deviations-one-sided",
        "planner/posterior/deviations.py",
        "np.log(2.0 * inside / k)",
        "np.log(1.98 * inside / k)",
        "a mean deviation is 1 % too small",
        "planner/test_posterior.py::test_the_table_of_deviations_is_the_sum_it_stands_for",
    ),
)
