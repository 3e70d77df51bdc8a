Feature: Three-way count
  Requests sent, requests counted and request lines logged are the same number, per endpoint, method and status.

  Scenario: The usual mix is counted and logged to the last request
    Given the database fails for 10 % of requests
    When load of 240 requests a second runs for "1 s" on the usual mix
    Then requests sent, counted and logged agree
    And every request was answered

  Scenario Outline: A burst of <count> is counted to the last request at whatever moment of the scrape it comes
    When <count> requests are sent to GET "<path>"
    Then requests sent, counted and logged agree

    Examples:
      | count | path                   |
      | 1     | /api/error?type=client |
      | 7     | /                      |
      | 137   | /api/error             |
      | 500   | /                      |

  Scenario: Eight users as fast as they can are counted to the last request
    When 8 users send requests to GET "/" for "500 ms"
    Then requests sent, counted and logged agree

  Scenario: The same request sent by every method is counted under the right one
    When one request of each method is sent to "/api/users"
    Then requests sent, counted and logged agree
