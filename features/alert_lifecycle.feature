Feature: Alerts
  An alert is quiet while all is well, fires in time on a real fault, reaches its receiver, and clears in time.

  Scenario: A failing database pages someone, in time, and the page clears
    Given the database fails for 0 % of requests
    And load of 40 requests a second on the usual mix
    And alert "ErrorRatioHigh" has been quiet for "500 ms"
    When the database fails for 80 % of requests
    Then alert "ErrorRatioHigh" fires within its bound
    And a page for alert "ErrorRatioHigh" is delivered within its bound
    When the database comes back
    Then alert "ErrorRatioHigh" clears within its bound

  @needs_stopping @serial
  Scenario: A dead service pages someone, in time
    Given alert "ServiceDown" has been quiet for "500 ms"
    When component "service" is stopped
    Then alert "ServiceDown" fires within its bound
    And a page for alert "ServiceDown" is delivered within its bound
    When component "service" is started again
    Then alert "ServiceDown" clears within its bound

  Scenario: No alert fires under healthy load
    Given the database fails for 0 % of requests
    And alert "ErrorRatioHigh" has been quiet for "1 s"
    When load of 60 requests a second runs for "1 s" on the usual mix
    Then no alert was pending or firing since then
