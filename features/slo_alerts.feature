@slo @serial
Feature: Alerts on error budgets
  The rules that the SLO documents make page someone when a budget burns, in time, and nobody when it does not.
  Time is compressed: what takes a day on call takes seconds here. Scenarios with the tag slo run before all others,
  because a budget that was spent stays spent.

  Scenario: Healthy load burns no budget that anyone has to be told of
    Given the database fails for 0 % of requests
    When load of 260 requests a second runs for "2 s" on the usual mix
    Then no alert on the budget of SLO "availability" was pending or firing since then
    And no alert on the budget of SLO "latency" was pending or firing since then
    And no alert on the budget of SLO "log-errors" was pending or firing since then
    And SLO "availability" is met
    And SLO "latency" is met

  @nightly
  Scenario: A slow leak is worth a ticket, but wakes nobody
    Given load of 100 requests a second on the usual mix
    And no ticket for SLO "availability" has been active for "1 s"
    When the database fails for 18 % of requests
    Then a ticket but no page for SLO "availability" is delivered within its bound
    And it clears within its bound once the fault ends

  Scenario: A burning budget pages someone, in time, and the page clears
    Given load of 25 requests a second on the usual mix
    And no page for SLO "latency" has been active for "1 s"
    When every query takes "550 ms" longer
    Then a page for SLO "latency" is delivered within its bound
    And it clears within its bound once the fault ends
