Feature: Request ids
  One id follows a request from the client into the log line.

  Scenario: A sane request id is kept and returned
    When a request is sent to GET "/" with header "X-Request-ID" set to "trace-4711.a_b"
    Then the response has header "X-Request-ID" set to "trace-4711.a_b"

  Scenario Outline: <what> is replaced by an id of the service's own
    When a request is sent to GET "/" with header "X-Request-ID" set to "<id>"
    Then the response has header "X-Request-ID" that is not "<id>"

    Examples:
      | what                      | id                     |
      | An id with blanks         | two words              |
      | An id that forges a field | x request_id=forged    |
      | An id of markup           | <script>               |

  Scenario: Each sampled id joins exactly one line, with the status and a duration that fits
    Given the database fails for 20 % of requests
    When load of 120 requests a second runs for "500 ms" on the usual mix
    Then each request id joins exactly one line with the same status and a duration that fits

  Scenario: An error answer carries its request id too
    When a request is sent to GET "/api/error?type=exception" with header "X-Request-ID" set to "broken-1"
    Then the response has status 500
    And the response has header "X-Request-ID" set to "broken-1"
