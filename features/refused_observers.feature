Feature: Refused observers
  Probes, metrics and the fault switch are no traffic; a stranger who plays with them is seen all the same.

  Scenario: A wrong token turns no fault and is refused with 401
    When the database goes down
    And the fault switch is asked 5 times with the token "guess"
    Then every response has status 401
    And the fault switch still holds what was set

  Scenario: Guessing at the token is counted and told, and is no traffic
    When the fault switch is asked 5 times with the token "guess"
    Then counter "app_error_count_total" with endpoint "/faults" rises by exactly 5
    And no request is counted but the barrier's own
    And each of those requests has exactly one warning saying "/faults 401"

  Scenario: Hostile methods on probes, metrics and fault switch make no new label value
    When 100 hostile requests are sent to the probes, the metrics and the fault switch
    Then no metric of the service has a new label value
    And every line since then can be read

  Scenario Outline: A <method> on <path> is refused, and told in one warning
    When a request is sent to <method> "<path>"
    Then the response has status 405
    And each of those requests has exactly one warning saying "<path> 405"

    Examples:
      | method | path              |
      | DELETE | /health/liveness  |
      | POST   | /health/readiness |
      | PUT    | /metrics          |
