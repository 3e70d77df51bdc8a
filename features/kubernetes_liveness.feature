Feature: Liveness restarts a hung pod
  A container that answers nothing any more is replaced within its bound, and its counters are told on across that.

  @needs_kubernetes @serial
  Scenario: A frozen pod is restarted with its reason, and its counters survive
    Given 40 requests to GET "/" were counted before the service's pod hangs
    When every process of the service's pod freezes
    Then its container is restarted within its bound, with the reason as an event
    When 40 requests more are sent to GET "/" through the gate
    Then the request counter tells all of them, across exactly one reset
    And requests sent, counted and logged agree
