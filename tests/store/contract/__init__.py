"""What every store promises, whichever engine it runs on: one suite for all of them.

A promise that is broken here is broken for a person: two tabs where one may be, a tab that is thrown out by its
own reload, a message that is lost or said twice.
"""
