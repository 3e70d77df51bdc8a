Feature: Log delivery
  Every line arrives exactly once, in order, whole, and in time.

  Scenario: No line is lost, doubled, reordered or late under load
    When load of 300 requests a second runs for "1 s" on the usual mix
    Then every line arrives exactly once, in order, within "5 s"

  Scenario: A burst is delivered whole
    When 1000 requests are sent to GET "/"
    Then every line arrives exactly once, in order, within "5 s"

  Scenario: Lines carry the labels that a pod's would
    When 5 requests are sent to GET "/"
    Then every line of those requests has the labels
      | label     | value       |
      | app       | users-api   |
      | namespace | {namespace} |
      | container | users-api   |
      | stream    | stdout      |
    And every line of those requests has a label "pod"

  Scenario: A newline in user input cannot forge a line
    When a request is sent to GET "/no%0A2026-01-01%2000:00:00%20[ERROR]%20forged%20-%20request_id=forged"
    Then Loki holds no line that begins with "2026-01-01 00:00:00 [ERROR] forged"
    And every line since then can be read

  Scenario: A traceback of many lines arrives as the one line of its error, from its first word to its last
    When 5 requests are sent to GET "/api/error?type=exception"
    Then each of those requests has exactly one error line saying "Unhandled exception: DeliberateError Traceback (most recent call last):\n"
    And each of those requests has exactly one error line saying "DeliberateError: asked for by /api/error?type=exception - request_id="
    And every line since then can be read
