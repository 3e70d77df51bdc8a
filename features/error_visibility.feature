Feature: Error visibility
  An error is in all three: the request count, the error count, and the log with its request id.

  Scenario: Every error under load is visible in all three places
    Given the database fails for 30 % of requests
    When load of 200 requests a second runs for "500 ms" on the usual mix
    Then every error is visible in the request count, in the error count and in the log

  Scenario Outline: <what> is visible in all three places
    When 10 requests are sent to GET "<path>"
    Then every error is visible in the request count, in the error count and in the log

    Examples:
      | what                   | path                      |
      | A client error         | /api/error?type=client    |
      | A server error         | /api/error                |
      | An unhandled exception | /api/error?type=exception |
