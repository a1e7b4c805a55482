"""Accounts, their users, groups, access keys and quotas, and what they share (observed 7 to 10).

Who makes a call is the matter of `rest`; what a caller may do, of `api.rights`.
"""
