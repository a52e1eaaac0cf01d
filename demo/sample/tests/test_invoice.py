import unittest

from invoice import total


class TotalTest(unittest.TestCase):
    def test_lines_are_added_up(self):
        self.assertEqual(total([(2, 150), (1, 700)]), 1000)

    def test_a_discount_is_in_per_cent(self):
        self.assertEqual(total([(2, 500)], discount=10), 900)


if __name__ == "__main__":
    unittest.main()
