Feature: In-flight gauge at rest
  The gauge of requests in flight returns to 0 whatever happened to them.

  Scenario Outline: Nothing stays in flight after <what>
    When 30 requests are sent to GET "<path>"
    Then nothing is in flight

    Examples:
      | what                 | path                      |
      | answers              | /                         |
      | client errors        | /api/error?type=client    |
      | unhandled exceptions | /api/error?type=exception |
      | unknown paths        | /nowhere                  |

  Scenario: Nothing stays in flight after clients that hang up
    Given every query takes "300 ms" longer
    When 20 clients hang up on GET "/api/users" after "50 ms"
    Then nothing is in flight

  Scenario: What is in flight is seen while it is in flight
    Given every query takes "500 ms" longer
    And load of 20 requests a second to GET "/api/users"
    Then the gauge of requests in flight reaches at least 3 within "5 s"
    When the load ends
    Then nothing is in flight
