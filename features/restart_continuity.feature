Feature: Counters across a restart
  A restart is seen as a reset, and neither loses nor doubles what was counted.

  @needs_processes @serial
  Scenario: A restart loses no request that was counted before it
    When 30 requests are sent to GET "/" around a restart of the service
    Then the request counter tells all of them, across exactly one reset
    And the service was unseen for at most "5 s"

  @needs_processes @serial
  Scenario: In-flight requests finish before a drained service ends
    Given every query takes "300 ms" longer
    And load of 40 requests a second to GET "/api/users"
    When the service is told to end after "500 ms" of that load
    Then every request that it had accepted was answered
    And readiness was red before the service was gone
