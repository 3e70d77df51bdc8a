Feature: The service's processes
  Workers may die and the service may be told to end; neither is silent, and neither loses a count.

  @needs_processes @serial
  Scenario: A killed worker takes none of its counts along
    When 60 requests are sent to GET "/" around the death of a worker
    Then requests sent, counted and logged agree
    And nothing is in flight

  @needs_processes @serial
  Scenario: A service that is told to end says that it drains
    Given load of 20 requests a second to GET "/"
    When the service is told to end after "100 ms" of that load
    Then readiness gave the reason "draining" before the service was gone
