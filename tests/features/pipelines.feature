Feature: Pipelines whose data a pump moves between the stages

  Scenario Outline: data goes through, whichever backend is asked for
    Given the backend "<backend>" is asked for
    When a pipeline sends 200000 bytes through 4 stages
    Then the run succeeds
    And all 200000 bytes have arrived
    And the bytes were moved by the "<pump>" pump

    Examples:
      | backend | pump   |
      | helper  | helper |
      | python  | python |
      | auto    | helper |

  Scenario: without a helper, auto uses the Python pump
    Given the backend "auto" is asked for
    And there is no helper anywhere
    When a pipeline sends 200000 bytes through 3 stages
    Then the run succeeds
    And all 200000 bytes have arrived
    And the bytes were moved by the "python" pump

  Scenario: a helper that is forced but absent
    Given the backend "helper" is asked for
    And there is no helper anywhere
    When a pipeline that leaves a mark is run
    Then the run is refused because the helper is unavailable
    And the error names every place that was tried
    And no stage has left its mark

  Scenario Outline: a helper that is killed in mid run
    Given the backend "<backend>" is asked for
    When the helper is killed while data flows
    Then the run fails with a pump error
    And no stage is left

    Examples:
      | backend |
      | helper  |
      | auto    |

  Scenario Outline: a downstream that closes early
    Given the backend "<backend>" is asked for
    When an endless producer meets a reader of one line
    Then the run succeeds
    And it has taken less than a second
    And the hop reports a broken pipe

    Examples:
      | backend |
      | helper  |
      | python  |
      | auto    |

  Scenario Outline: a slow consumer is the bottleneck
    Given the backend "<backend>" is asked for
    When a pipeline ends in a slow consumer
    Then the run succeeds
    And the last stage is named as the bottleneck

    Examples:
      | backend |
      | helper  |
      | python  |
