Feature: The error endpoint
  It answers with the errors that monitoring must not miss.

  Scenario: A client error is counted once and logged once
    When 20 requests are sent to GET "/api/error?type=client"
    Then every response has status 400
    And counter "app_error_count_total" with error_type "client_error" rises by exactly 20
    And Loki holds exactly one line for each of those requests

  Scenario: A server error is counted once and logged once
    When 20 requests are sent to GET "/api/error"
    Then every response has status 500
    And counter "app_error_count_total" with error_type "server_error" rises by exactly 20
    And Loki holds exactly one line for each of those requests

  Scenario: An unknown type of error is refused, and the answer names the known ones
    When a request is sent to GET "/api/error?type=cosmic"
    Then the response has status 400
    And the response names "client"
    And the response names "exception"

  Scenario: An unhandled exception is missed by none of the three: request count, error count, log
    When 10 requests are sent to GET "/api/error?type=exception"
    Then every response has status 500
    And counter "app_request_count_total" with http_status "500" rises by exactly 10
    And every error is visible in the request count, in the error count and in the log
    And each of those requests has exactly one error line saying "Traceback"

  Scenario: A path nobody serves is counted under one constant endpoint
    When 10 requests are sent to GET "/no/such/path"
    Then every response has status 404
    And these counters rise by exactly
      | counter                 | labels                                                     | by |
      | app_request_count_total | endpoint="unmatched", method="GET", http_status="404"      | 10 |
      | app_error_count_total   | endpoint="unmatched", error_type="client_error"            | 10 |

  Scenario: An error leaves the counters of the other endpoints alone
    When 10 requests are sent to GET "/api/error?type=client"
    Then no other child of counter "app_error_count_total" with endpoint than "/api/error" rises
