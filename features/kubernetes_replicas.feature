Feature: Replicas
  Each pod is one target, and together they tell of every request.

  @needs_kubernetes @serial
  Scenario: Two replicas are scraped once each, and a burst over both is counted to the last request
    Given 2 replicas of the service
    When 300 requests are sent to GET "/" through the gate
    Then each instance of the service is scraped exactly once
    And requests sent, counted and logged agree
    And each pod counted its share of those requests
