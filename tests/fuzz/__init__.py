"""Inputs that hypothesis makes: each ends in success, or in one InputError; see `case`."""
