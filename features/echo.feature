Feature: The echo endpoint
  What is sent comes back with the same meaning, byte for byte; what cannot be read is a client error.

  Scenario Outline: <what> comes back unchanged
    When a request is sent to POST "/api/echo" with content type "application/json" and the body
      """
      <body>
      """
    Then the response has status 200
    And the response is the body that was sent
      """
      <body>
      """

    Examples:
      | what                    | body                                             |
      | A number beyond 64 bits | {"n": 123456789012345678901234567890}            |
      | A float that is whole   | {"n": 1.0, "m": 1, "e": 1e400}                   |
      | The order of keys       | {"z": 1, "a": 2, "m": {"y": 1, "b": [2, 1]}}     |
      | Text beyond ASCII       | {"text": "naïve 東京 🚦", "escaped": "\u00e9"}    |
      | A key given twice       | {"a": 1, "a": 2}                                 |
      | A bare string           | "hello"                                          |

  Scenario Outline: <what> is refused with <status> and counted as a client error
    When 5 bodies of "<body>" with content type "<type>" are sent to POST "/api/echo"
    Then every response has status <status>
    And these counters rise by exactly
      | counter                 | labels                                                           | by |
      | app_request_count_total | endpoint="/api/echo", method="POST", http_status="<status>"      | 5  |
      | app_error_count_total   | endpoint="/api/echo", error_type="client_error"                  | 5  |
    And Loki holds exactly one line for each of those requests

    Examples:
      | what                     | body     | type             | status |
      | A body that is not JSON  | hello    | text/plain       | 415    |
      | A body without a type    | {}       |                  | 415    |
      | A JSON cut short         | {[1      | application/json | 400    |
      | A number JSON has not    | NaN      | application/json | 400    |
      | An empty body            |          | application/json | 400    |

  Scenario: A body of exactly 1 MiB passes, one byte more does not
    When a request with a JSON body of 1048576 bytes is sent to POST "/api/echo"
    Then the response has status 200
    When a request with a JSON body of 1048577 bytes is sent to POST "/api/echo"
    Then the response has status 413
    And these counters rise by exactly
      | counter                 | labels                                                      | by |
      | app_request_count_total | endpoint="/api/echo", method="POST", http_status="200"      | 1  |
      | app_request_count_total | endpoint="/api/echo", method="POST", http_status="413"      | 1  |
      | app_error_count_total   | endpoint="/api/echo", error_type="client_error"             | 1  |
    And requests sent, counted and logged agree
