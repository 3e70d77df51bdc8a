Feature: Readiness gates traffic
  A pod that says no is led to by nobody within its bound, and finishes what it has begun.

  @needs_kubernetes @needs_faults @serial
  Scenario: A pod whose database is down leaves the endpoints, is sent nothing, and finishes what it has begun
    Given every query takes "8 s" longer
    And 6 requests to GET "/api/users" are under way through the gate
    When the database goes down
    Then the pod is out of the endpoints within its bound
    And the requests that were under way are answered with success
    When 6 requests are sent to GET "/" through the gate
    Then none of those requests got through
    And no request is counted but the barrier's own
    And requests sent, counted and logged agree
    When the database comes back
    Then the pod is in the endpoints again within its bound
    When 50 requests are sent to GET "/" through the gate
    Then every response has status 200
    And requests sent, counted and logged agree
