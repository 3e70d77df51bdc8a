Feature: The users endpoint
  The database behind it is simulated: it takes a drawn time and fails now and then.

  Scenario: A healthy database answers with every user
    Given the database fails for 0 % of requests
    When a request is sent to GET "/api/users"
    Then the response has status 200
    And the response is the JSON
      """
      [{"id":1,"name":"Alice","email":"alice@example.com"},{"id":2,"name":"Bob","email":"bob@example.com"}]
      """

  Scenario: A failed query is counted once as a database error and told in one line
    Given the database fails for 100 % of requests
    When 20 requests are sent to GET "/api/users"
    Then every response has status 500
    And counter "app_error_count_total" with error_type "database_error" rises by exactly 20
    And no other child of counter "app_error_count_total" with error_type than "database_error" rises
    And each of those requests has exactly one error line saying "Database error occurred: Failed to retrieve users"

  Scenario: Every second query fails when the database is told to fail for half of them
    Given the database fails for 50 % of requests
    When 200 requests are sent to GET "/api/users"
    Then between 35 % and 65 % of the responses have status 500
    And requests sent, counted and logged agree

  Scenario: A slow database shows in the latency histogram, not only to the client
    Given the database fails for 0 % of requests
    And every query takes "200 ms" longer
    When 24 requests are sent to GET "/api/users"
    Then every response took at least "200 ms" and the slowest at most "3 s"
    And every one of those requests is counted above bucket "0.1" of histogram "app_request_latency_seconds"

  Scenario Outline: A <method> that the users endpoint does not know is a client error of that endpoint
    When 5 requests are sent to <method> "/api/users"
    Then every response has status 405
    And these counters rise by exactly
      | counter                 | labels                                                          | by |
      | app_request_count_total | endpoint="/api/users", method="<method>", http_status="405"     | 5  |
      | app_error_count_total   | endpoint="/api/users", error_type="client_error"                | 5  |

    Examples:
      | method |
      | POST   |
      | DELETE |
      | PATCH  |
