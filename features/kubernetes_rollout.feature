Feature: Rolling updates
  A release replaces pods without a client noticing; one that cannot run is reported with its reason.

  @needs_kubernetes @serial
  Scenario Outline: A rolling update of <count> loses no request
    Given <count> replicas of the service
    And load of 40 requests a second to GET "/" through the gate
    When the service is rolled out anew
    And the load through the gate ends
    Then every response has status 200
    And requests sent, counted and logged agree
    And old and new pods counted those requests between them

    Examples:
      | count |
      | 1     |
      | 2     |

  @needs_kubernetes @serial
  Scenario: A release that crashes is reported with its reason, while the one before it serves on
    Given load of 20 requests a second to GET "/" through the gate
    When a release is rolled out that runs
      """
      echo 'no database is configured' >&2; exit 3
      """
    Then the service is reported as "CrashLoopBackOff" with exit code 3 and the line "no database is configured" within "30 s"
    When the release is rolled back
    And the load through the gate ends
    Then every response has status 200
    And requests sent, counted and logged agree
