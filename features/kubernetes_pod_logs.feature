Feature: Logs of pods that are gone
  What a pod has written outlives it.

  @needs_kubernetes @serial
  Scenario: The lines of a pod that is killed are all there, exactly once
    When 200 requests are answered by GET "/", and their pod is killed at once
    Then every line of that pod is in Loki, exactly once
    And every request was answered
