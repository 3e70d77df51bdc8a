Feature: Blindness is noticed
  A dead pipeline never makes a claim true: what needs it is blocked, and says since when.

  @needs_stopping @serial
  Scenario: A stopped log shipper blocks the count instead of passing it
    Given component "promtail" is stopped
    When 10 requests are sent to GET "/"
    Then the three-way count is blocked by the "logs" pipeline

  @needs_processes @serial
  Scenario: A frozen log shipper blocks the count within its bound
    Given component "promtail" is frozen
    When 10 requests are sent to GET "/"
    Then the three-way count is blocked by the "logs" pipeline

  @needs_processes @serial
  Scenario: A frozen Prometheus blocks the count instead of passing it
    Given component "prometheus" is frozen
    When 10 requests are sent to GET "/"
    Then the three-way count is blocked by the "metrics" pipeline

  @serial
  Scenario: A service that stops logging is not taken for a quiet one
    Given the service stops writing logs
    When 10 requests are sent to GET "/"
    Then the three-way count is blocked by the "logs" pipeline

  @needs_stopping @serial
  Scenario: Sight comes back with the shipper, and nothing was lost meanwhile
    Given component "promtail" is stopped
    When 10 requests are sent to GET "/"
    And component "promtail" is started again
    And 10 requests are sent to GET "/"
    Then requests sent, counted and logged agree
